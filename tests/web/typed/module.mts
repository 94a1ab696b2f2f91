// The same from the ES module.
import Deployd, { DeploydError } from './dpd.mjs';

const dpd: Deployd = new Deployd('http://localhost:2403');
export const answer: Promise<number> = dpd
  .room<{ emits: { add: { data: number; answer: number } } }>('sum')
  .emit('add', 1);
// @ts-expect-error
dpd.room<{ emits: { add: { data: number; answer: number } } }>('sum').emit('add', 'one');
export const failed = (error: unknown): boolean => error instanceof DeploydError;
