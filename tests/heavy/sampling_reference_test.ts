/**
 * Sampling, log-probabilities and tokens beside llama-server, with the built-in model. Needs `INFERD_BENCH_PEER_DIR`, a
 * folder with `llama-server`; skipped without.
 */
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { type Client, connect, type TokenLogprob } from "@inferd/client";
import { join } from "@std/path";
import { LlamaServer, PROJECT } from "../../bench/servers.ts";
import { DaemonUnderTest } from "../support/daemons.ts";

const folder = Deno.env.get("INFERD_BENCH_PEER_DIR") ?? "";
const modelPath = join(PROJECT, "models", "inferd-tiny.gguf");

const QUESTIONS = ["What is the capital of Japan?", "Count from 1 to 10.", "Tell me a story about a fox."];
const MAX_TOKENS = 60;
/** Weights of 8 bits: the same up to how the two group their sums. */
const TOLERANCE = 0.05;

interface ServerLogprob {
  readonly id: number;
  readonly logprob: number;
  readonly bytes: readonly number[];
  readonly top_logprobs: readonly { readonly id: number; readonly logprob: number }[];
}

async function post(server: LlamaServer, path: string, body: Record<string, unknown>): Promise<unknown> {
  const response = await fetch(`http://127.0.0.1:${server.target.port}${path}`, {
    method: "POST",
    body: JSON.stringify(body),
  });
  return await response.json();
}

/** What llama-server answers when it takes the likeliest token each time. */
async function serverAnswer(
  server: LlamaServer,
  question: string,
  fields: Record<string, unknown>,
): Promise<{ readonly text: string; readonly logprobs: readonly ServerLogprob[] }> {
  const answer = await post(server, "/v1/chat/completions", {
    messages: [{ role: "user", content: question }],
    temperature: 0,
    max_tokens: MAX_TOKENS,
    chat_template_kwargs: { enable_thinking: false },
    ...fields,
  }) as { choices: [{ message: { content: string }; logprobs: { content: ServerLogprob[] } | null }] };
  const [{ message, logprobs }] = answer.choices;
  return { text: message.content, logprobs: logprobs?.content ?? [] };
}

Deno.test({
  name: "inferd samples, and tells log-probabilities and tokens, as llama-server does",
  ignore: folder === "",
  async fn(test): Promise<void> {
    await using server = await LlamaServer.start(
      folder,
      { model: modelPath, threads: 1, parallel: 1, contextTokens: 1024 },
      "chat",
    );
    await using daemon = await DaemonUnderTest.start({
      backends: [{ kind: "llamacpp", name: "near", modelName: "inferd-tiny", modelPath }],
    });
    await daemon.daemon.ready;
    const { infer, v2 } = daemon.options.listen;
    await using client: Client = await connect({ path: infer.socket, paths: { v2: v2.socket } });

    await test.step("log-probabilities are the same", async () => {
      let compared = 0;
      for (const question of QUESTIONS) {
        const theirs = (await serverAnswer(server, question, { logprobs: true, top_logprobs: 5 })).logprobs;
        const ours: readonly TokenLogprob[] = (await client.generate({
          messages: [{ role: "user", content: question }],
          temperature: 0,
          maxTokens: MAX_TOKENS,
          logprobs: 5,
        }).result()).logprobs ?? [];
        for (const [at, token] of ours.entries()) {
          const their = theirs[at];
          if (their?.id !== token.tokenId) break;
          assertAlmostEquals(token.logprob, their?.logprob ?? NaN, TOLERANCE, `${question} at ${at}`);
          assertEquals(token.bytes, their?.bytes);
          for (const [place, { tokenId, logprob }] of token.top.entries()) {
            const same = their?.top_logprobs.find(({ id }) => id === tokenId);
            // Two that are nearly as likely may change places at the end of the list.
            if (same !== undefined) assertAlmostEquals(logprob, same.logprob, TOLERANCE * 4);
            else assert(place >= 3, `${question} at ${at}: ${tokenId} is not among llama-server's`);
          }
          compared++;
        }
      }
      assert(compared > 40, `${compared} tokens were compared`);
    });

    await test.step("penalties and biases lead to the same answers", async () => {
      const [banned = 0] = await client.tokenize(" Tokyo");
      const cases = [
        { repeat_penalty: 1.5 },
        { frequency_penalty: 1.5 },
        { presence_penalty: 1.5 },
        { repeat_penalty: 1.2, frequency_penalty: 0.5, presence_penalty: 0.5 },
        { logit_bias: { [banned]: -100 } },
      ];
      let same = 0;
      for (const question of QUESTIONS) {
        const plain = (await serverAnswer(server, question, {})).text;
        for (const fields of cases) {
          const theirs = (await serverAnswer(server, question, { repeat_last_n: 64, ...fields })).text;
          const ours = await client.generate({
            messages: [{ role: "user", content: question }],
            temperature: 0,
            maxTokens: MAX_TOKENS,
            thinking: false,
            repeatPenalty: fields.repeat_penalty,
            frequencyPenalty: fields.frequency_penalty,
            presencePenalty: fields.presence_penalty,
            logitBias: fields.logit_bias,
          }).text();
          const length = [...theirs].findIndex((_, at) => theirs[at] !== ours[at]);
          // Rounding may take another way at last; that would be by chance, and late.
          if (length < 0 || length >= 20) same++;
          else console.error(JSON.stringify({ question, fields, theirs, ours, plain }));
        }
      }
      assert(same >= QUESTIONS.length * cases.length - 1, `${same} answers are the same`);
    });

    await test.step("texts have the same tokens, and conversations the same prompt", async () => {
      for (const text of ["Hello, world", "Füße 🦊\n\n  x", "<|im_end|>", ""]) {
        for (const special of [false, true]) {
          const { tokens } = await post(server, "/tokenize", {
            content: text,
            add_special: special,
            parse_special: special,
          }) as { tokens: number[] };
          assertEquals(await client.tokenize(text, { addSpecial: special, parseSpecial: special }), tokens);
          if (special) continue;
          assertEquals(await post(server, "/detokenize", { tokens }), { content: await client.detokenize(tokens) });
        }
      }
      const messages = [{ role: "user", content: QUESTIONS[0] ?? "" }] as const;
      const { prompt } = await post(server, "/apply-template", {
        messages,
        chat_template_kwargs: { enable_thinking: false },
      }) as { prompt: string };
      assertEquals(await client.applyTemplate({ messages }), prompt);
    });
  },
});
