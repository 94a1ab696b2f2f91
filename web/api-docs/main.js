/* The page of the rooms: reads the AsyncAPI document and writes it in the words of dpd.js. */

import { byId, element, say, sentenceOf } from '/self-test/dom.js';

const INLINE = ['{ ', '; ', ' }'];
const LINES = ['{\n  ', ';\n  ', ';\n}'];

/** Read the document, as whoever has this token or master key. */
async function read(key) {
  const token = key.split('.').length === 3;
  const headers = token ? { Authorization: `Bearer ${key}` } : { 'X-Master-Key': key };
  const response = await fetch('/api/docs/asyncapi.json', { headers: key ? headers : {} });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

/** A JSON Schema as TypeScript would have it. */
function written(schema) {
  if (schema.$ref) return schema.$ref.split('/').pop();
  if ('const' in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(' | ');
  if (schema.anyOf) return schema.anyOf.map(written).join(' | ');
  if (schema.type === 'array') return list(schema.items);
  if (schema.type === 'object') return object(schema);
  if (schema.type === 'integer') return 'number';
  return schema.type || 'any';
}

function list(items) {
  if (Array.isArray(items)) return `[${items.map(written).join(', ')}]`;
  const inner = items ? written(items) : 'any';
  return inner.includes(' | ') ? `(${inner})[]` : `${inner}[]`;
}

function object({ properties, required = [], additionalProperties }, [open, between, close] = INLINE) {
  if (!properties) return `Record<string, ${additionalProperties ? written(additionalProperties) : 'any'}>`;
  const optional = (name) => (required.includes(name) ? '' : '?');
  const fields = Object.entries(properties).map(([name, one]) => `${name}${optional(name)}: ${written(one)}`);
  return fields.length > 0 ? open + fields.join(between) + close : '{}';
}

/** What one may do in a room: a line of code, and what its author says of it. */
function described(operation, messages) {
  const sent = messages[operation.messages[0].$ref.split('/').pop()].payload.properties;
  const parts = operation.reply ? messages[operation.reply.messages[0].$ref.split('/').pop()].payload : null;
  const answer = parts && parts.properties.data && parts.properties.data.properties.answer;
  const data = sent.data && Object.keys(sent.data).length > 0 ? written(sent.data) : '';
  if (sent.type.const === 'join') return [`join(${data})`, ''];
  if (operation.action === 'send') return ["on(event, (data) => …)", ''];
  const event = sent.event.const === undefined ? 'event' : JSON.stringify(sent.event.const);
  const takes = data ? `, ${data}` : sent.data && !sent.event.const ? ', data' : '';
  return [`emit(${event}${takes})`, answer ? ` → ${written(answer)}` : ''];
}

function roomSection(name, channel, operations) {
  const list = element('dl');
  for (const operation of operations) {
    const [call, answer] = described(operation, channel.messages);
    const about = [operation.summary, operation.description].filter(Boolean).join('\n\n');
    list.append(element('dt', '', element('code', '', call + answer)), element('dd', 'about', about));
  }
  const title = element('h2', '', channel.title, ' ', element('code', '', channel.address));
  const section = element('section', '', title, element('p', 'about', channel.description || ''), list);
  section.dataset.room = name;
  return section;
}

function show({ channels, operations, components }) {
  const all = Object.values(operations);
  const sections = Object.entries(channels).map(([name, channel]) =>
    roomSection(name, channel, all.filter((one) => one.channel.$ref === `#/channels/${name}`)),
  );
  byId('rooms').replaceChildren(...sections);
  const named = Object.entries(components.schemas).flatMap(([name, schema]) => [
    element('dt', '', element('code', '', name)),
    element('dd', '', element('p', 'about', schema.description || ''), element('pre', '', schema.properties ? object(schema, LINES) : written(schema))),
  ]);
  byId('named').replaceChildren(...named);
  byId('types').hidden = named.length === 0;
  say(byId('note'), sections.length === 0 ? 'No room class is bound that you may join.' : '');
}

async function ask() {
  try {
    show(await read(byId('key').value.trim()));
  } catch (error) {
    say(byId('note'), sentenceOf(error), 'bad');
  }
}

byId('ask').addEventListener('submit', (event) => {
  event.preventDefault();
  ask();
});
ask();
