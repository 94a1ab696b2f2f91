// The types of dpd.js. `new Deployd<{ todos: Todo }>(url)` knows what is in `dpd.todos`.

export = Deployd;
export as namespace Deployd;

declare const Deployd: Deployd.Constructor;
type Deployd<S = Deployd.AnySchema> = Deployd.Client & Deployd.Collections<S>;

declare namespace Deployd {
  interface Constructor {
    /** Without an address: the pod that the page came from. */
    new <S = AnySchema>(url?: string, options?: Options): Deployd<S>;
    readonly Deployd: Constructor;
    readonly DeploydError: { new (message: string, code?: string): DeploydError };
    readonly default: Constructor;
    /** What follows the end of a connection; `wait`, and the `least` of it, in milliseconds. */
    afterClose(
      closed: { code: number; reason?: string; lasted?: number },
      attempt: number,
      random?: () => number,
    ): { final: boolean; least: number; wait: number; attempt: number };
    encodeQuery(query: object): string;
  }

  /** The documents of each collection by its name: `{ todos: Todo }`. */
  type AnySchema = Record<string, Record<string, any>>;

  type Collections<S> = {
    readonly [Name in Exclude<keyof S, keyof Client>]: Name extends 'collections'
      ? Collection<AnyChange>
      : Collection<S[Name]>;
  };

  interface Client {
    readonly url: string;
    readonly token: string | null;
    readonly socket: Socket;
    readonly users: Users;
    /** The collection of a name that the client has itself, or that is known only at run time. */
    collection<T = Record<string, any>>(name: string): Collection<T>;
    /**
     * A room as an object; `params` is what it asks of those who join. `dpd.room<Auction>(…)` knows
     * what is emitted there and answered, by what `deployd types` writes.
     */
    room<R extends RoomTypes = RoomTypes>(name: string, ...params: Given<R, 'params'>): Room<R>;
    on<E extends keyof OwnEvents>(event: E, listener: Listener<OwnEvents[E]>): this;
    on<D = any>(event: string, listener: Listener<D>): this;
    once<E extends keyof OwnEvents>(event: E, listener: Listener<OwnEvents[E]>): this;
    once<D = any>(event: string, listener: Listener<D>): this;
    /** Takes one `on` back; without a listener all of the event, without an event all there are. */
    off(event?: string, listener?: (...values: any[]) => unknown): this;
    setToken(token: string | null): void;
    login(credentials: Credentials, callback?: Callback<SignedIn>): Promise<SignedIn>;
    logout(callback?: Callback<void>): Promise<void>;
    close(): void;
  }

  interface Socket {
    readonly connected: boolean;
    readonly id: string | null;
    /** The promise is of `id`. It does not shorten a wait that has just begun. */
    connect(callback?: Callback<string>): Promise<string>;
    /** The room is told `data`, now and after each reconnection. */
    join(room: string, data?: unknown): Promise<Message>;
    join(room: string, callback: Callback<Message>): Promise<Message>;
    join(room: string, data: unknown, callback: Callback<Message>): Promise<Message>;
    leave(room: string, callback?: Callback<Message>): Promise<Message>;
    /** `emit<Leading>('bid', …)` says what the room answers. */
    emit<A = any>(event: string, data?: unknown, room?: string): Promise<Receipt<A>>;
    emit<A = any>(
      event: string,
      data: unknown,
      callback: Callback<Receipt<A>>,
    ): Promise<Receipt<A>>;
    emit<A = any>(
      event: string,
      data: unknown,
      room: string | undefined,
      callback: Callback<Receipt<A>>,
    ): Promise<Receipt<A>>;
  }

  /** Several of one name are one member, which leaves with the last of them. */
  interface Room<R extends RoomTypes = RoomTypes> {
    readonly name: string;
    /** `joining` also while a connection that was lost is away. */
    readonly state: 'joining' | 'in' | 'out';
    /** Who is there, on all pods, where the room tracks it; the event `presence` says what is new. */
    readonly presence: readonly Person[];
    /** Rejoins after a loss by itself. Need not be called before the first `on` or `emit`. */
    join(callback?: Callback<Message>): Promise<Message>;
    leave(callback?: Callback<Message>): Promise<Message>;
    /** What is said in this room; `on<Leading>('leading', …)` says what it is. */
    on<D = any>(event: string, listener: Listener<D>): this;
    once<D = any>(event: string, listener: Listener<D>): this;
    /** Takes one `on` back; without a listener all of the event, without an event all there are. */
    off(event?: string, listener?: (...values: any[]) => unknown): this;
    /** The promise is of the answer, null where the room has none. */
    emit<E extends EventOf<R>>(event: E, ...data: Given<R['emits'][E], 'data'>): Reply<R['emits'][E]['answer']>;
    emit<E extends EventOf<R>>(
      event: E,
      data: Said<R['emits'][E]>,
      callback: Callback<R['emits'][E]['answer']>,
    ): Reply<R['emits'][E]['answer']>;
  }

  /** Somebody in a room, by whatever connections; times are unix seconds. */
  interface Person {
    readonly user: string;
    readonly name: string;
    readonly since: number;
    readonly connections: number;
    /** All its connections are lost, and the room keeps its place. */
    readonly away?: boolean;
    readonly meta?: { readonly [key: string]: any };
  }

  /** What `deployd types` writes of a class of rooms: what a join brings, and its events. */
  interface RoomTypes {
    params?: any;
    emits: { [event: string]: { data?: any; answer: any } };
  }
  type EventOf<R extends RoomTypes> = keyof R['emits'] & string;
  type Said<E> = E extends { data?: infer D } ? D : undefined;
  /** An argument that may be left out where there is none, or null would do. */
  type Given<T, K extends 'params' | 'data'> = T extends { [P in K]: infer D }
    ? null extends D
      ? [value?: D]
      : [value: D]
    : T extends { [P in K]?: infer D }
      ? [value?: D]
      : [];
  /** The answer, and the receipt that it came with. */
  interface Reply<A> extends Promise<A> {
    readonly receipt: Promise<Receipt<A>>;
  }

  interface Collection<T> {
    readonly name: string;
    get(): Promise<Documents<T>>;
    get(query: Query<T>): Promise<Documents<T>>;
    get(id: Id): Promise<Document<T>>;
    get(callback: Callback<Documents<T>>): Promise<Documents<T>>;
    get(query: Query<T>, callback: Callback<Documents<T>>): Promise<Documents<T>>;
    get(id: Id, callback: Callback<Document<T>>): Promise<Document<T>>;
    /** All of a query in the order of their ids, page by page, whatever bounds the pod has. */
    all(query?: Omit<Query<T>, '$sort' | '$skip'>): AsyncGenerator<Document<T>, void, undefined>;
    count(): Promise<number>;
    count(query: Filter<T>): Promise<number>;
    count(callback: Callback<number>): Promise<number>;
    count(query: Filter<T>, callback: Callback<number>): Promise<number>;
    post(document: T, callback?: Callback<Document<T>>): Promise<Document<T>>;
    /** All of them in one transaction, or none. */
    post(documents: T[], callback?: Callback<Document<T>[]>): Promise<Document<T>[]>;
    put(id: Id, changes: Changes<T>, callback?: Callback<Document<T>>): Promise<Document<T>>;
    put(
      document: Changes<T> & { id: Id },
      callback?: Callback<Document<T>>,
    ): Promise<Document<T>>;
    del(id: Id, callback?: Callback<Deleted>): Promise<Deleted>;
    delete(id: Id, callback?: Callback<Deleted>): Promise<Deleted>;
    on(event: ChangeEvent, listener: ChangeListener<T>): this;
    once(event: ChangeEvent, listener: ChangeListener<T>): this;
    /** Takes one `on` back; without a listener all of the event, without an event all there are. */
    off(event?: ChangeEvent, listener?: ChangeListener<T>): this;
  }

  interface Users extends Collection<Record<string, any>> {
    login(credentials: Credentials, callback?: Callback<SignedIn>): Promise<SignedIn>;
    logout(callback?: Callback<void>): Promise<void>;
    me(callback?: Callback<Document>): Promise<Document>;
  }

  type Id = string | number;
  type Document<T = Record<string, any>> = T & { id: string; createdAt: string; updatedAt: string };
  /** `truncated`: a bound of the pod's has left some out. */
  type Documents<T = Record<string, any>> = Document<T>[] & { readonly truncated: boolean };
  /** What becomes of a property: another value, or what an operator makes of the one there is. */
  type Changes<T> = { [P in keyof T]?: T[P] | null | Update<T[P]> };
  type Update<V> =
    | { $unset: true }
    | (V extends number ? { $inc: number } : never)
    | (V extends readonly (infer E)[] ? { $push: E } | { $pull: E } | { $addToSet: E } : never);
  type Deleted = { deleted: number };
  type Change = 'created' | 'updated' | 'deleted';
  type ChangeEvent = Change | 'changed';
  type AnyChange = { collection: string; type: Change; data: Document };

  /** `error` is null when it went well, and `result` when it did not. */
  type Callback<R> = (result: R, error: DeploydError | null) => unknown;
  type Listener<D> = (data: D, message: Message) => unknown;
  type ChangeListener<T> = (document: Document<T>, type: Change, message: Message) => unknown;

  /** What there is to say of one property; dates are compared as texts. */
  type Condition<V> =
    | V
    | {
        $gt?: V;
        $gte?: V;
        $lt?: V;
        $lte?: V;
        $ne?: V;
        $in?: V[];
        $nin?: V[];
        $all?: unknown[];
        $size?: number;
        $elemMatch?: object;
        $exists?: boolean;
        $regex?: string;
        $options?: string;
      };
  type Filter<T> = { [P in keyof Document<T>]?: Condition<Document<T>[P]> } & {
    $or?: Filter<T>[];
    $and?: Filter<T>[];
  };
  type Query<T> = Filter<T> & {
    $sort?: { [P in keyof Document<T>]?: 1 | -1 };
    $limit?: number;
    $skip?: number;
    $fields?: { [P in keyof Document<T>]?: 0 | 1 | boolean };
  };

  type Credentials = { username: string; password: string } | { masterKey: string };
  type SignedIn = { token: string; expiresAt: string | number; isRoot: boolean; user?: Document };
  /**
   * `local`: this pod took it; `cluster`: the broker; `queued`: it waits; `rejected`: nobody.
   * In rooms whose receipts say who has heard, `pods` of `of` with members in the room have it, and
   * so many `members`: `cluster` is all of them, `partial` not all.
   */
  type Receipt<A = any> = {
    scope: 'cluster' | 'partial' | 'local' | 'queued' | 'rejected';
    id: string;
    pods?: number;
    of?: number;
    members?: number;
    /** What the room's handler has answered. */
    answer?: A;
  };

  /** A message as it came over the socket. */
  interface Message {
    readonly type: string;
    readonly event?: string;
    readonly data?: any;
    readonly room?: string;
    readonly id?: string | number;
    readonly meta?: { readonly timestamp: number; readonly id?: string; readonly seq?: number };
  }

  interface OwnEvents {
    connect: { client_id: string; timestamp: number; limits?: { maxMessageBytes: number } };
    /** `final`: the client does not come back by itself. */
    disconnect: { code: number; reason: string; final: boolean };
    /** `wait` is in milliseconds. */
    reconnecting: { attempt: number; wait: number; code: number; reason: string };
    /** The pod does not take the token, or not any more; `setToken` gives another. */
    expired: { code: 'expired_token' | 'bad_token'; message: string };
    degraded: any;
    healed: any;
    error: DeploydError | Error;
  }

  interface DeploydError extends Error {
    readonly name: 'DeploydError';
    /** HTTP's status, 0 when no answer came; undefined for errors of the socket. */
    readonly status?: number;
    readonly statusCode?: number;
    readonly errors?: { field: string; message: string }[];
    /** Seconds. */
    readonly retryAfter?: number;
    /** Of `change_missed`: the id of the document to read, where there is one. */
    readonly document?: string;
    /** The room that an error of the socket is about. */
    readonly room?: string;
    /** The pod's, such as `forbidden`, or the client's: `disconnected`, `timeout`, `closed`, … */
    readonly code?: string;
    /** What a room says of its refusal, for programs. */
    readonly data?: Record<string, any>;
    readonly closeCode?: number;
    readonly cause?: unknown;
  }

  interface Options {
    token?: string;
    /** Where the token is kept between visits; without one it is kept nowhere. */
    storage?: {
      getItem(key: string): string | null;
      setItem(key: string, value: string): void;
      removeItem(key: string): void;
    };
    /** Asked for a token when the pod does not take the one there is; none: go on as nobody. */
    refresh?: (why: DeploydError) => string | null | undefined | Promise<string | null | undefined>;
    /** Milliseconds to wait for an answer: 10,000 unless you say otherwise. */
    timeout?: number;
    /** Milliseconds of silence after which the pod is asked whether it is there: 25,000; 0: never. */
    heartbeat?: number;
    fetch?: typeof fetch;
    WebSocket?: new (url: string) => any;
    /** For tests. */
    random?: () => number;
    clock?: {
      now(): number;
      setTimeout(act: () => void, milliseconds: number): any;
      clearTimeout(timer: any): void;
    };
  }
}
