/** Conversations, stored in this browser's database only. */

/**
 * @typedef {{ id: string, title: string, updatedAt: number, messages: import("./completion.js").Message[] }} Conversation
 */

const STORE = "conversations";

/** Stores conversations. If the browser's storage is unavailable, they last as long as the page. */
export class Conversations {
  #database = openDatabase().catch(() => undefined);
  #memory = /** @type {Map<string, Conversation>} */ (new Map());

  /** All conversations, newest first. @returns {Promise<Conversation[]>} */
  async list() {
    const database = await this.#database;
    const all = database === undefined
      ? [...this.#memory.values()]
      : await done(database.transaction(STORE).objectStore(STORE).getAll());
    return all.toSorted((one, other) => other.updatedAt - one.updatedAt);
  }

  /** @param {Conversation} conversation Replaces the one with the same id. */
  async put(conversation) {
    const database = await this.#database;
    if (database === undefined) this.#memory.set(conversation.id, structuredClone(conversation));
    else await done(database.transaction(STORE, "readwrite").objectStore(STORE).put(conversation));
  }

  /** @param {string} id Id of the conversation to delete. */
  async remove(id) {
    const database = await this.#database;
    if (database === undefined) this.#memory.delete(id);
    else await done(database.transaction(STORE, "readwrite").objectStore(STORE).delete(id));
  }
}

/** @returns {Promise<IDBDatabase>} */
function openDatabase() {
  const request = indexedDB.open("inferd", 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
  return done(request);
}

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
