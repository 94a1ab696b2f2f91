// What the types of dpd.js allow, and what they do not: each @ts-expect-error has to be an error.
import Deployd = require('./dpd');

interface Bid {
  amount: number;
  note?: string;
}
interface Leading {
  user: string;
  amount: number;
}
interface Auction {
  params: { row: number };
  emits: {
    bid: { data: Bid; answer: Leading };
    pass: { answer: null };
    raise: { data: number | null; answer: number | null };
  };
}
interface Chat {
  emits: { say: { data: string; answer: number }; [event: string]: { data?: any; answer: any } };
}

const dpd = new Deployd<{ todos: { title: string } }>();
const room = dpd.room<Auction>('auction-1', { row: 1 });
const chat = dpd.room<Chat>('chat-1');
const any = dpd.room('anything');

export async function allowed(): Promise<void> {
  const leading: Leading = await room.emit('bid', { amount: 15 });
  const { scope, answer } = await room.emit('bid', { amount: 15, note: 'mine' }).receipt;
  const none: null = await room.emit('pass');
  const raised: number | null = await room.emit('raise');
  await room.emit('raise', 5);
  room.emit('bid', { amount: 1 }, (led, error) => error ?? led.user);
  room.on<Leading>('leading', (data, message) => [data.user.length, message.room]);
  room.once('sold', () => {}).off('leading').off();
  const state: 'joining' | 'in' | 'out' = room.state;
  const acknowledged: Deployd.Message = await room.join();
  await room.leave((message, error) => error ?? message.room);
  const place: number = await chat.emit('say', 'hello');
  await chat.emit('wave', 7);
  await any.emit('whatever');
  await any.emit('whatever', 1);
  dpd.room('theatre', { row: 3 });
  const title: string = (await dpd.todos.get())[0].title;
  void [leading, scope, answer, none, raised, state, acknowledged, place, title];
}

export async function refused(): Promise<void> {
  // @ts-expect-error
  await room.emit('bid', { amount: '15' });
  // @ts-expect-error
  await room.emit('bid');
  // @ts-expect-error
  await room.emit('sell', 1);
  // @ts-expect-error
  await room.emit('pass', 1);
  // @ts-expect-error
  (await room.emit('bid', { amount: 1 })).nothing;
  // @ts-expect-error
  (await room.emit('raise')).toFixed();
  // @ts-expect-error
  dpd.room<Auction>('auction-1');
  // @ts-expect-error
  dpd.room<Auction>('auction-1', { row: 'first' });
  // @ts-expect-error
  await chat.emit('say', 5);
  // @ts-expect-error
  dpd.room<{ anything: number }>('x');
}
