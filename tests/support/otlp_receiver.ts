/** Whom Deno sends traces to: OTLP as JSON over HTTP, on loopback. */

/** A span, as far as tests look at it. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  /** The library that made it. */
  readonly scope: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly events: readonly string[];
  /** 2 is an error. */
  readonly status: number;
}

/** What a value is wrapped in. */
type Wrapped = Readonly<Record<string, unknown>> & { readonly arrayValue?: { readonly values: readonly Wrapped[] } };

interface Payload {
  readonly resourceSpans: readonly {
    readonly scopeSpans: readonly { readonly scope: { readonly name: string }; readonly spans: readonly RawSpan[] }[];
  }[];
}

interface RawSpan extends Omit<ReceivedSpan, "scope" | "attributes" | "events" | "status"> {
  readonly attributes: readonly { readonly key: string; readonly value: Wrapped }[];
  readonly events: readonly { readonly name: string }[];
  readonly status: { readonly code: number };
}

/** Keeps everything it is sent. */
export class OtlpReceiver implements AsyncDisposable {
  readonly spans: ReceivedSpan[] = [];
  /** The bodies of all signals, as they came. */
  readonly bodies: string[] = [];
  readonly #server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const body = await request.text();
    this.bodies.push(body);
    if (new URL(request.url).pathname === "/v1/traces") this.spans.push(...read(JSON.parse(body)));
    return Response.json({});
  });

  /** What makes a program send its traces here. */
  get env(): Record<string, string> {
    const { hostname, port } = this.#server.addr;
    return {
      OTEL_DENO: "true",
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://${hostname}:${port}`,
    };
  }

  /** The spans that inferd made, by name. */
  named(name: string): ReceivedSpan[] {
    return this.spans.filter((span) => span.scope === "inferd" && span.name === name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

function read({ resourceSpans }: Payload): ReceivedSpan[] {
  return resourceSpans.flatMap(({ scopeSpans }) => scopeSpans).flatMap(({ scope, spans }) =>
    spans.map(({ attributes, events, status, ...span }) => ({
      ...span,
      scope: scope.name,
      attributes: Object.fromEntries(attributes.map(({ key, value }) => [key, unwrapped(value)])),
      events: events.map(({ name }) => name),
      status: status.code,
    }))
  );
}

function unwrapped(value: Wrapped): unknown {
  return value.arrayValue === undefined ? Object.values(value)[0] : value.arrayValue.values.map(unwrapped);
}
