/*
 * The examples of the scratchpad. The second to the fourth are the specification's own; where it
 * has the address 'localhost:2403' they have `location`, for this pod may listen elsewhere.
 */

export const EXAMPLES = [
  {
    title: 'Join a room and hear yourself',
    code: `dpd.on('hello', (data, message) => {
  console.log('heard in', message.room, data);
});

await dpd.socket.join('self-test-demo');
const receipt = await dpd.socket.emit('hello', { from: 'the scratchpad' }, 'self-test-demo');
console.log('receipt', receipt);
`,
  },
  {
    title: 'Collection changes (specification)',
    code: `// Initialize with real-time enabled (default)
const dpd = new Deployd(location.origin);

// Listen for collection changes
dpd.todos.on('created', function(todo) {
  console.log('New todo created:', todo);
  updateTodoList();
});

dpd.todos.on('updated', function(todo) {
  console.log('Todo updated:', todo);
  updateTodoItem(todo);
});

dpd.todos.on('deleted', function(todo) {
  console.log('Todo deleted:', todo);
  removeTodoItem(todo.id);
});

// Listen for custom events
dpd.on('notification', function(data) {
  showNotification(data.message);
});

// Join specific rooms
dpd.socket.join('admin-notifications');
`,
  },
  {
    title: 'Raw WebSocket (specification)',
    code: `const ws = new WebSocket('ws' + location.origin.slice(4) + '/socket.io/');

ws.onopen = function() {
  // Authenticate with JWT
  ws.send(JSON.stringify({
    type: 'auth',
    token: 'your-jwt-token'
  }));

  // Join rooms
  ws.send(JSON.stringify({
    type: 'join',
    room: 'collection:todos'
  }));
};

ws.onmessage = function(event) {
  const message = JSON.parse(event.data);
  console.log('Received:', message);
};
`,
  },
  {
    title: 'Custom rooms (specification)',
    code: `// Client joins custom room
dpd.socket.join('chat-room-123');
dpd.socket.join('admin-notifications');

dpd.on('chat-message', (data) => console.log(data.user, 'says', data.message));

// In the specification the server says this; a client may as well
await dpd.socket.connect();
await dpd.socket.emit('chat-message', {
  user: 'john',
  message: 'Hello everyone!'
}, 'chat-room-123');
`,
  },
  {
    title: 'A todo from its creation to its end',
    code: `// Needs a collection: resources/todos/config.json with the property "title"
dpd.todos.on('changed', (todo, type) => console.log(type, todo));
await dpd.socket.join('collection:todos'); // or the first change comes before we listen

const todo = await dpd.todos.post({ title: 'Water the plants' });
console.log('all of them', await dpd.todos.get());
await dpd.todos.put(todo.id, { title: 'Water the plants twice' });
await dpd.todos.del(todo.id);
`,
  },
  {
    title: 'Crash the demo room, and go on',
    code: `dpd.on('back', (data) => console.log('the room is back', data));
await dpd.socket.join('self-test-demo');

try {
  await dpd.socket.emit('crash', null, 'self-test-demo');
} catch (error) {
  console.log('this message was lost:', error.message);
}

await dpd.socket.emit('hello', 'we are still in it', 'self-test-demo');
`,
  },
];
