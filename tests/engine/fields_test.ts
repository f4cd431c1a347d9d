/** What a request may say about sampling, what is told of its tokens, and the tokenizer, with the built-in model. */
import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import type { EngineEvent } from "../../src/engine/ipc/messages.ts";
import type { TokenLogprob } from "../../src/inference/events.ts";
import {
  ANY_OBJECT,
  type Conversation,
  PLAIN,
  type Sampling,
  type TokenizerAnswer,
  type TokenizerRequest,
} from "../../src/inference/request.ts";
import { type Ask, EngineChild } from "./engine_child.ts";

const QUESTION = "What is the capital of Japan?";
const ANSWER = "The capital of Japan is Tokyo.";
const GREEDY: Sampling = { temperature: 0, topP: 1, topK: 0 };

/** One engine for all steps: it takes longer to start than to answer. */
Deno.test("engine takes sampling fields, tells log-probabilities and answers for its tokenizer", async (t) => {
  await using engine = await EngineChild.start();

  async function asked(request: TokenizerRequest): Promise<TokenizerAnswer | string> {
    const event = await engine.tokenizer(request);
    return "answer" in event ? event.answer : "message" in event ? event.message : "";
  }
  async function tokensOf(text: string): Promise<readonly number[]> {
    const answer = await asked({ type: "tokenize", text, addSpecial: false, parseSpecial: false });
    return typeof answer === "object" && "tokens" in answer ? answer.tokens : [];
  }
  async function logprobsOf(
    prompt: string,
    ask: Ask,
  ): Promise<readonly (readonly [string, readonly TokenLogprob[]])[]> {
    const id = await engine.ask(prompt, ask);
    await engine.answerTo(id);
    return engine.eventsOf(id).flatMap((event: EngineEvent) =>
      "t" in event ? [[event.t, event.lp ?? []] as const] : []
    );
  }
  const conversation: Conversation = { ...PLAIN, messages: [{ role: "user", content: QUESTION }] };

  await t.step("detokenize gives back what tokenize took, whatever it is", async () => {
    for (const text of [ANSWER, "", "Füße 🦊\n\n  x", "<|im_end|>"]) {
      const tokens = await tokensOf(text);
      assertEquals(await asked({ type: "detokenize", tokens, pieces: false }), { text });
      const answer = await asked({ type: "detokenize", tokens, pieces: true });
      assert(typeof answer !== "string" && "pieces" in answer && answer.pieces.length === tokens.length);
      assertEquals(new TextDecoder().decode(Uint8Array.from(answer.pieces.flat())), text);
    }
  });

  await t.step("names of control tokens are tokens only when that is asked for", async () => {
    const text = "<|im_end|>";
    const plain = await asked({ type: "tokenize", text, addSpecial: false, parseSpecial: false });
    const special = await asked({ type: "tokenize", text, addSpecial: false, parseSpecial: true });
    assert(typeof plain === "object" && "tokens" in plain && plain.tokens.length > 1);
    assert(typeof special === "object" && "tokens" in special && special.tokens.length === 1);
    assertEquals(await asked({ type: "detokenize", tokens: special.tokens, pieces: false }), { text });
  });

  await t.step("detokenize refuses a token that there is none of", async () => {
    assertEquals(
      await asked({ type: "detokenize", tokens: [0, 2048], pieces: false }),
      '"tokens[1]" must be an integer from 0 to 2047, got 2048',
    );
  });

  await t.step("count is what an answer's usage says, and apply_template is its prompt", async () => {
    const { done } = await engine.answer(QUESTION);
    assertEquals(await asked({ type: "count", conversation }), { count: done?.prompt ?? 0 });
    const prompt = await asked({ type: "apply_template", conversation });
    assert(typeof prompt === "object" && "text" in prompt);
    assertStringIncludes(prompt.text, QUESTION);
    const tokens = await asked({ type: "tokenize", text: prompt.text, addSpecial: true, parseSpecial: true });
    assert(typeof tokens === "object" && "tokens" in tokens);
    assertEquals(tokens.tokens.length, done?.prompt);
  });

  await t.step("count counts the tools", async () => {
    const tools = [{ name: "look", description: "Looks", inputSchema: { type: "object" } }];
    const [without, within] = [
      await asked({ type: "count", conversation }),
      await asked({ type: "count", conversation: { ...conversation, tools } }),
    ];
    assert(typeof without === "object" && "count" in without && typeof within === "object" && "count" in within);
    assert(within.count > without.count + 5);
  });

  await t.step("count counts a conversation that does not fit the context, too", async () => {
    const messages = [{ role: "user" as const, content: "fox ".repeat(2000) }];
    const answer = await asked({ type: "count", conversation: { ...conversation, messages } });
    assert(typeof answer === "object" && "count" in answer && answer.count > 2000);
  });

  await t.step("a long text is made tokens, and text again, beside a stream that goes on", async () => {
    const text = "The quick brown fox jumps over the lazy dog. ".repeat(20_000);
    const id = await engine.ask("Count from 1 to 10.", { maxTokens: 30 });
    await engine.untilEvents(id, 1);
    const asking = asked({ type: "tokenize", text, addSpecial: true, parseSpecial: false });
    assertEquals((await engine.answerTo(id)).text, "1, 2, 3, 4, 5, 6, 7, 8, 9, 10");
    const answer = await asking;
    assert(typeof answer === "object" && "tokens" in answer);
    const again = await asked({ type: "detokenize", tokens: answer.tokens, pieces: false });
    // A difference would be shown in a megabyte.
    assert(typeof again === "object" && "text" in again && again.text === text);
  });

  await t.step("tokens are told while an answer is generated", async () => {
    const id = await engine.ask("Count from 1 to 10.", { maxTokens: 30 });
    await engine.untilEvents(id, 1);
    assertEquals(await tokensOf("fox"), await tokensOf("fox"));
    assertEquals((await engine.answerTo(id)).text, "1, 2, 3, 4, 5, 6, 7, 8, 9, 10");
  });

  await t.step("each text comes with its tokens, which spell it", async () => {
    const told = await logprobsOf(QUESTION, { logprobs: 3 });
    assertEquals(told.map(([text]) => text).join(""), ANSWER);
    for (const [text, logprobs] of told) {
      assertEquals(logprobs.map(({ token }) => token).join(""), text);
      for (const { id, bytes, logprob, top } of logprobs) {
        assertEquals(top.length, 3);
        // Greedy: what was taken is the likeliest.
        assertEquals([id, bytes, logprob], [top[0]?.id, top[0]?.bytes, top[0]?.logprob]);
        assert(logprob <= 0 && (top[1]?.logprob ?? 0) <= logprob && (top[2]?.logprob ?? 0) <= (top[1]?.logprob ?? 0));
        const mass = top.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0);
        assert(mass > 0 && mass <= 1.0001);
      }
    }
  });

  await t.step("log-probabilities are the model's own, whatever is said about sampling", async () => {
    const plain = (await logprobsOf(QUESTION, { logprobs: 0 }))[0]?.[1][0];
    const other = await logprobsOf(QUESTION, {
      logprobs: 0,
      sampling: { temperature: 0.5, topP: 0.1, topK: 5, minP: 0.9, seed: 1, logitBias: [[5, 3]] },
    });
    assertEquals(plain?.top, []);
    assertAlmostEquals(other[0]?.[1][0]?.logprob ?? 1, plain?.logprob ?? 0, 1e-3);
  });

  await t.step("no token is told where it was not asked for, and a stop string's are not", async () => {
    assertEquals((await logprobsOf(QUESTION, {})).flatMap(([, logprobs]) => logprobs), []);
    const told = await logprobsOf("Count from 1 to 10.", { logprobs: 0, stop: ["5, 6"] });
    assertEquals(told.flatMap(([, logprobs]) => logprobs.map(({ token }) => token)).join(""), "1, 2, 3, 4, ");
  });

  await t.step("a banned token does not come, and a favoured one does", async () => {
    const [tokyo = 0] = (await logprobsOf(QUESTION, { logprobs: 0 })).flatMap(([, logprobs]) =>
      logprobs.filter(({ token }) => token.startsWith(" Tok")).map(({ id }) => id ?? 0)
    );
    assert(tokyo > 0);
    const without = await engine.answer(QUESTION, { sampling: { ...GREEDY, logitBias: [[tokyo, -100]] } });
    assert(!without.text.includes("Tokyo"), without.text);
    const only = await engine.answer(QUESTION, { maxTokens: 3, sampling: { ...GREEDY, logitBias: [[tokyo, 100]] } });
    assertStringIncludes(only.text, "Tok");
  });

  await t.step("a bias of a token that there is none of is refused", async () => {
    const { error } = await engine.answer(QUESTION, { sampling: { ...GREEDY, logitBias: [[2048, 1]] } });
    assertEquals(error?.message, '"logit_bias" must have ids of tokens from 0 to 2047, got 2048');
  });

  await t.step("penalties keep an answer from repeating itself", async () => {
    const grammar = 'root ::= ("a" | "b" | "c" | "d") root';
    const text = async (sampling: Partial<Sampling>): Promise<string> =>
      (await engine.answer(QUESTION, { grammar, maxTokens: 24, sampling: { ...GREEDY, ...sampling } })).text;
    const plain = await text({});
    for (const penalty of [{ presencePenalty: 2 }, { repeatPenalty: 2 }]) {
      assert(await text(penalty) !== plain, JSON.stringify(penalty));
    }
    assert(new Set(await text({ frequencyPenalty: 2 })).size > new Set(plain).size);
  });

  await t.step("min_p of 1 leaves the likeliest alone", async () => {
    const sampling = { temperature: 2, topP: 1, topK: 0, minP: 1, seed: 3 };
    assertEquals((await engine.answer(QUESTION, { sampling })).text, ANSWER);
  });

  await t.step("an answer that may be any object is one", async () => {
    const { text, done } = await engine.answer(QUESTION, {
      responseSchema: ANY_OBJECT,
      maxTokens: 300,
      sampling: { temperature: 1, topP: 0.95, topK: 64, seed: 2 },
    });
    if (done?.done === "end") assertEquals(Object.getPrototypeOf(JSON.parse(text)), Object.prototype);
    assert(text.startsWith("{"), text);
  });

  await t.step("an answer says how long its parts took", async () => {
    const started = performance.now();
    const { done } = await engine.answer("Count from 1 to 10.");
    const wall = performance.now() - started;
    const [queue = -1, prompt = -1, generation = -1] = done?.ms ?? [];
    assert(queue >= 0 && prompt > 0 && generation > 0);
    assert(queue + prompt + generation <= wall, `${done?.ms} of ${wall} ms`);
  });
});
