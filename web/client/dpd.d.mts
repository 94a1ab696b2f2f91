// The types of dpd.mjs: those of dpd.js.
import Client from './dpd.js';

declare const Deployd: Client.Constructor;
type Deployd<S = Client.AnySchema> = Client<S>;
declare const DeploydError: Client.Constructor['DeploydError'];
type DeploydError = Client.DeploydError;

export { Deployd, DeploydError };
export default Deployd;
