// dpd.js as an ES module: in Node it exports, in a browser it makes a global.
import * as loaded from './dpd.js';

export const Deployd = loaded.default || globalThis.Deployd;
export const { DeploydError } = Deployd;
export default Deployd;
