/* Small helpers of the page. Text only ever becomes text: nothing here knows innerHTML. */

/** Find an element by its id; a wrong id is a mistake of ours and fails at once. */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/** Make an element with a class and children; strings become text. */
export function element(tag, className = '', ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

/** Write text where it differs: what stays the same keeps its selection. */
export function write(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** Say a sentence in a panel's note; `kind` is 'good', 'bad' or nothing. */
export function say(note, sentence, kind = '') {
  write(note, sentence);
  note.className = `note ${kind}`.trim();
}

/** The message of whatever was thrown. */
export function sentenceOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/** Milliseconds as people read them. */
export function inMs(ms) {
  return ms === null || ms === undefined ? '' : `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** Call back every so many milliseconds while somebody can see the page, and when they come back. */
export function whileVisible(period, callback) {
  let timer = null;
  const adjust = () => {
    clearInterval(timer);
    timer = document.hidden ? null : setInterval(callback, period);
    if (timer !== null) callback();
  };
  document.addEventListener('visibilitychange', adjust);
  adjust();
}

/**
 * Read a field as JSON: `{ value }`, where an empty field is undefined, or `{ problem }`. The field
 * is marked when it is not JSON.
 */
export function readJson(field, name) {
  const text = field.value.trim();
  try {
    const value = text === '' ? undefined : JSON.parse(text);
    field.removeAttribute('aria-invalid');
    return { value };
  } catch (error) {
    field.setAttribute('aria-invalid', 'true');
    field.focus();
    return { problem: `${name} is not JSON: ${error.message}. Strings and names take double quotes.` };
  }
}
