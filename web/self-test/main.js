/*
 * The self-test: a page to look at a pod with. One file a panel; this one puts them together.
 * Everything comes from the pod itself, and everything that fails says so in a sentence.
 */

import { showChaos } from './chaos.js';
import { showConnection } from './connection.js';
import { showCrash } from './crash.js';
import { showLog } from './log.js';
import { showRest } from './rest.js';
import { showRooms } from './rooms.js';
import { showScratchpad } from './scratchpad.js';
import { Session } from './session.js';
import { showStress } from './stress.js';
import { showTraffic } from './traffic.js';
import { showTree } from './tree.js';
import { Wire } from './wire.js';

const wire = new Wire();
const session = new Session(wire);

showConnection(session);
showLog(wire);
showRooms(session);
showTraffic(session, wire);
showStress(session);
showChaos(session);
showTree(session);
showCrash(session, wire);
showRest(session);
showScratchpad(session);
session.connect();
