/**
 * A chat of several turns with pauses, with and without thinking, in Qwen3's chat template: time to first token of each
 * later turn, and the share of its prompt found in the prefix cache. The model recites the same thinking and answer
 * every time; each user message is different but has the same number of tokens.
 */
import { delay } from "@std/async/delay";
import { join } from "@std/path";
import { askTurn, type Message, type Turn } from "./chat_client.ts";
import { type Contender, type ContenderOptions, inTurns, type Side } from "./contenders.ts";
import type { Target } from "./load_job.ts";
import type { Progress } from "../src/cli/terminal/progress.ts";
import { asText, knownWords, recitingModel } from "./recital.ts";
import { median, type Row } from "./report.ts";
import { Inferd, LlamaServer, serveBackend } from "./servers.ts";

const SECTION = "A chat of six turns, 203 M, Q8_0, Qwen3's template";
const TURNS = 6;
const PAUSE_MS = 1000;
const THOUGHT_WORDS = 30;
const ANSWER_WORDS = 50;
const QUESTION_WORDS = 16;
const MOST_TOKENS = 200;
/** Path in llama.cpp's source, from which the peer is built. */
const TEMPLATE = ["peer", "llama.cpp", "models", "templates", "Qwen-Qwen3-0.6B.jinja"];

/** Options of this section. */
export interface ChatBenchOptions extends ContenderOptions {
  readonly rounds: number;
  readonly quick: boolean;
  readonly cache: string;
  readonly progress: Progress;
}

/**
 * Measure chats.
 *
 * @param options Duration and tools.
 * @returns The lines of the table.
 * @throws {Error} If llama.cpp's source, which has the template, is missing.
 */
export async function benchChat(options: ChatBenchOptions): Promise<Row[]> {
  const { progress, rounds, cache } = options;
  const chatTemplate = join(cache, ...TEMPLATE);
  if (!(await Deno.stat(chatTemplate).then(() => true, () => false))) {
    throw new Error(`There is no "${chatTemplate}": it comes with llama-server, which is built without --no-peer`);
  }
  const words = await knownWords();
  const model = await recitingModel("thinking-203m-q8_0.gguf", recitalOf(words), options);
  const asked = words.slice(THOUGHT_WORDS + ANSWER_WORDS);
  progress.step(`${SECTION}: starting`);
  const folder = await Deno.makeTempDir({ prefix: "inferd-bench-" });
  try {
    await using servers = new AsyncDisposableStack();
    const contenders = await startBoth(servers, { model, chatTemplate, folder, options });
    const chats = options.quick ? 1 : rounds;
    const rows: Row[] = [];
    for (const thinking of [false, true]) {
      const turns: Record<Side, Turn[][]> = { peer: [], ours: [] };
      for (let round = 0; round < chats; round++) {
        const name = thinking ? "thinking on" : "thinking off";
        for (const { side, server } of inTurns(contenders, round)) {
          progress.at(round / chats, `${SECTION}: ${name}, round ${round + 1} of ${chats}, ${side}`);
          turns[side].push(await chat(server.target, { thinking, asked, seed: round + (thinking ? chats : 0) }));
        }
      }
      rows.push(...rowsOf(thinking, turns));
    }
    return rows;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/**
 * Without thinking the prompt ends in a line feed after empty thinking, which is another token than a single line feed.
 */
function recitalOf(words: readonly string[]): string[][] {
  const thought = words.slice(0, THOUGHT_WORDS);
  const answer = words.slice(THOUGHT_WORDS, THOUGHT_WORDS + ANSWER_WORDS);
  return [["Ċ", "<think>", ...thought, "</think>"], ["ĊĊ", ...answer, "<|im_end|>"], ["</think>", "ĊĊ"]];
}

async function startBoth(
  servers: AsyncDisposableStack,
  { model, chatTemplate, folder, options: { peerFolder, peerOnly } }: {
    readonly model: string;
    readonly chatTemplate: string;
    readonly folder: string;
    readonly options: ChatBenchOptions;
  },
): Promise<Contender[]> {
  const serverOptions = { model, chatTemplate, threads: 2, parallel: 4, contextTokens: 2048 };
  const contenders: Contender[] = [];
  if (peerFolder !== undefined) {
    const server = servers.use(await LlamaServer.start(peerFolder, serverOptions, "chat"));
    contenders.push({ side: "peer", server });
  }
  if (peerOnly) return contenders;
  const args = await serveBackend(join(folder, "inferd.json"), serverOptions, {});
  const daemon = servers.use(await Inferd.start(args, {}, "infer.v2.sock"));
  const target: Target = { protocol: "inferd-v2", path: daemon.target.path };
  contenders.push({ side: "ours", server: { target, [Symbol.asyncDispose]: () => Promise.resolve() } });
  return contenders;
}

/** Runs one conversation. */
async function chat(
  target: Target,
  { thinking, asked, seed }: { readonly thinking: boolean; readonly asked: readonly string[]; readonly seed: number },
): Promise<Turn[]> {
  const messages: Message[] = [];
  const turns: Turn[] = [];
  for (let turn = 0; turn < TURNS; turn++) {
    if (turn > 0) await delay(PAUSE_MS);
    const at = (seed * TURNS + turn) * QUESTION_WORDS % (asked.length - QUESTION_WORDS);
    messages.push({ role: "user", content: asText(asked.slice(at, at + QUESTION_WORDS)).trim() });
    const answered = await askTurn(target, { messages, thinking, maxTokens: MOST_TOKENS });
    turns.push(answered);
    messages.push({ role: "assistant", content: answered.text });
  }
  return turns;
}

function rowsOf(thinking: boolean, { peer, ours }: Record<Side, readonly (readonly Turn[])[]>): Row[] {
  const row = (
    figure: string,
    unit: string,
    of: (chats: readonly (readonly Turn[])[]) => number,
    goal: NonNullable<Row["goal"]>,
  ): Row => ({
    section: SECTION,
    figure: `thinking ${thinking ? "on" : "off"}, from the second turn: ${figure}`,
    unit,
    ...(peer.length > 0 && { peer: of(peer) }),
    ...(ours.length > 0 && { ours: of(ours) }),
    goal,
  });
  const later = (of: (turn: Turn, first: Turn) => number) => (chats: readonly (readonly Turn[])[]): number =>
    median(chats.flatMap(([first, ...others]) => first === undefined ? [] : others.map((turn) => of(turn, first))));
  return [
    row("first token", "ms", later(({ firstMs }) => firstMs), { kind: "ratio-at-most", value: 0.5 }),
    row(
      "cached, of what the history allows",
      "%",
      // The first prompt is one question plus the generation prompt, as much as is new in every later prompt.
      later(({ promptTokens, cachedTokens }, first) => cachedTokens / (promptTokens - first.promptTokens) * 100),
      { kind: "at-least", value: 95 },
    ),
  ];
}
