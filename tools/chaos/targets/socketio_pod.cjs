// A pod of Socket.IO, as its documentation has it: rooms, an adapter on Redis, and how it stands.
//
// Its one argument is JSON: the `adapter` (redis or streams), the `url` of the server of Redis, and
// the `port` to listen on.
"use strict";

const http = require("node:http");
const { Redis } = require("ioredis");
const { Server } = require("socket.io");

const ACKNOWLEDGED = 5_000; // milliseconds for all who are in a room: that of the documentation
const COUNTED = 1_000; // milliseconds for the adapter to count servers
const READY = "ready"; // what ioredis says of a connection that is

const { adapter, url, port } = JSON.parse(process.argv[2]);

// Both adapters' documentation recommends ioredis, which subscribes anew when it is connected again.
const links = [new Redis(url)];
let options;
if (adapter === "streams") {
  const { createAdapter } = require("@socket.io/redis-streams-adapter");
  options = { adapter: createAdapter(links[0]), connectionStateRecovery: {} };
} else {
  const { createAdapter } = require("@socket.io/redis-adapter");
  links.push(links[0].duplicate());
  options = { adapter: createAdapter(...links) };
}
for (const link of links) link.on("error", (error) => console.log(String(error))); // or it ends

const server = http.createServer(async (request, response) => {
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(await standing()));
});
const io = new Server(server, options);

io.on("connection", (socket) => {
  socket.on("join", async (room, done) => {
    await socket.join(room);
    done();
  });
  socket.on("say", (room, word, all, done) => {
    if (!all) {
      io.to(room).emit("said", room, word);
      done({ scope: "taken" });
      return;
    }
    io.to(room).timeout(ACKNOWLEDGED).emit("said", room, word, (error, heard) => {
      done({ scope: error ? "partial" : "cluster", members: heard.length });
    });
  });
});

async function standing() {
  const late = new Promise((resolve) => setTimeout(resolve, COUNTED, 1));
  const ready = links.every((link) => link.status === READY);
  const servers = ready ? await Promise.race([io.of("/").adapter.serverCount(), late]) : 1;
  return { link: ready ? "closed" : "open", others: servers - 1 };
}

server.listen(port, "127.0.0.1");
