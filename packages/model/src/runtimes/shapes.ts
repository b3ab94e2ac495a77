// The shapes runtime: one forward pass over widths only, which records what the model consists of. So a model is
// described only by its forward function, and whatever that function states twice must agree.
// A contradiction is a mistake in an architecture, never in a file: it is a plain Error.
import type { Decoder, ModelConfig, Parameter } from '../architecture.ts'
import { blockHooks, finalNormalized, type HookPoint, layerOfHook } from '../hooks.ts'
import type { AttentionOptions, FinalNorm, Hooks, Norm, Ops, Unembed } from '../ops.ts'

export type ModelShapes = {
  /** Every weight read, once, in order of first use. */
  parameters: Parameter[]
  /** In the order of the forward pass. */
  hooks: HookPoint[]
  layers: LayerShape[]
  /** What tokens leave behind for later ones, in the order of the forward pass. */
  cache: CacheEntry[]
  /** The first embedding that tokens are looked up in. */
  embedding: string
  finalNorm: FinalNorm
  unembed: Unembed
}

export type LayerShape = {
  /** Its first and last hook point, as indices of `hooks`. What is computed between them belongs to the layer. */
  span: { first: number; last: number }
  /** Null in a layer without attention. */
  attention: Pick<AttentionOptions, 'heads' | 'kvHeads' | 'dHead' | 'window'> | null
  /** Width of `mlp.hook_post`; null if a layer does not mark it. */
  dMlp: number | null
}

export type CacheEntry =
  /** A row of `keys` and one of `values` elements per token. With a window a query sees `window` keys, including its own. */
  | { kind: 'attention'; layer: number; keys: number; values: number; window?: number }
  /** Of a fixed size; zeros before the first token. */
  | { kind: 'state'; layer: number; name: string; shape: number[] }

/** A value of this runtime: elements per token. */
type Shape = { readonly width: number }

/** @throws Error if the forward pass contradicts itself or its config */
export function shapesOf({ config, forward }: Pick<Decoder, 'config' | 'forward'>): ModelShapes {
  const found = createFindings(config)
  const logits = forward(shapeOps(found), found.mark)
  const { parameters, hooks, layers, cache, embedding, finalNorm, unembed, open } = found
  check(open === null, `block ${open} does not end with hook_resid_post`)
  check(layers.length === config.nLayers, `${layers.length} of ${config.nLayers} layers were run`)
  if (embedding === undefined || finalNorm === undefined || unembed === undefined) {
    throw contradiction('embedTokens, finalNorm and unembed all have to be called')
  }
  check(logits === found.logits, 'the logits are what unembed gives')
  sized('the logits', logits, config.vocabSize)
  return {
    parameters: Array.from(parameters, ([name, shape]) => ({ name, shape })),
    hooks,
    layers,
    cache,
    embedding,
    finalNorm,
    unembed,
  }
}

type Findings = ReturnType<typeof createFindings>

/** What has been found so far, and the checks that need more than one call. */
function createFindings(config: ModelConfig) {
  const found = {
    parameters: new Map<string, number[]>(),
    hooks: [] as HookPoint[],
    layers: [] as LayerShape[],
    cache: [] as CacheEntry[],
    embedding: undefined as string | undefined,
    finalNorm: undefined as FinalNorm | undefined,
    unembed: undefined as Unembed | undefined,
    logits: undefined as Shape | undefined,
    /** The block between its first and its last hook point. */
    open: null as number | null,
    config,

    parameter(name: string | undefined, ...shape: number[]): void {
      if (name === undefined) return
      const known = found.parameters.get(name) ?? shape
      check(known.join() === shape.join(), `${name} has the shapes [${known}] and [${shape}]`)
      found.parameters.set(name, shape)
    },

    inBlock(what: string, layer: number): void {
      const { open } = found
      check(layer === open, `${what} of layer ${layer} ${open === null ? 'in no block' : `in block ${open}`}`)
    },

    cached(entry: CacheEntry): void {
      const key = (one: CacheEntry) => `${one.kind} ${one.layer} ${one.kind === 'state' ? one.name : ''}`
      const twice = found.cache.some(known => key(known) === key(entry))
      check(!twice, `layer ${entry.layer} has two caches of one kind and name: ${key(entry)}`)
      found.cache.push(entry)
    },

    mark(name: string, value: Shape): Shape {
      const { hooks, layers } = found
      check(!hooks.some(hook => hook.name === name), `${name} is marked twice`)
      const layer = layerOfHook(name)
      if (layer === null) check(found.open === null, `${name} is marked in block ${found.open}`)
      else {
        const names = blockHooks(layer)
        if (name === names.residPre) begin(layer)
        found.inBlock(name, layer)
        layers[layer].span.last = hooks.length
        if (name === names.residPre || name === names.residPost) sized(name, value, config.dModel)
        if (name === names.post) layers[layer].dMlp = value.width
        if (name === names.residPost) found.open = null
      }
      hooks.push({ name, width: value.width, layer })
      return value
    },
  }
  function begin(layer: number): void {
    const { layers, hooks, open } = found
    check(open === null, `block ${layer} begins in block ${open}`)
    check(layer === layers.length, `block ${layer} comes after ${layers.length} blocks`)
    check(layer < config.nLayers, `block ${layer} of a model of ${config.nLayers} layers`)
    found.open = layer
    layers.push({ span: { first: hooks.length, last: hooks.length }, attention: null, dMlp: null })
  }
  return found
}

function shapeOps(found: Findings): Ops<Shape> {
  const { config, parameter } = found
  const linear: Ops<Shape>['linear'] = (x, { weight, out, bias, layout = 'out_in' }) => {
    parameter(weight, ...(layout === 'out_in' ? [out, x.width] : [x.width, out]))
    parameter(bias, out)
    return { width: out }
  }
  const norm = (x: Shape, { weight, bias }: Norm): Shape => {
    parameter(weight, x.width)
    parameter(bias, x.width)
    return { width: x.width }
  }
  return {
    linear,
    norm,
    embedTokens(weight, { vocab, width }) {
      found.embedding ??= weight
      parameter(weight, vocab, width)
      return { width }
    },
    embedPositions(weight, { positions, width }) {
      check(positions >= config.nCtx, `${positions} positions for a context of ${config.nCtx}`)
      parameter(weight, positions, width)
      return { width }
    },
    headNorm(x, { heads, dHead, ...options }) {
      sized('what is normed by heads', x, heads * dHead)
      norm({ width: dHead }, options)
      return { width: x.width }
    },
    finalNorm(x, options, hooks: Hooks<Shape>) {
      check(found.finalNorm === undefined && found.open === null, 'finalNorm comes once, behind the blocks')
      sized('what enters the final norm', x, config.dModel)
      found.finalNorm = options
      return options.kind === 'none' ? x : norm(hooks(finalNormalized, x), options)
    },
    unembed(x, options) {
      check(found.finalNorm !== undefined, 'unembed comes behind finalNorm')
      check(found.unembed === undefined, 'unembed comes once')
      const { weight, vocab, bias, layout } = options
      found.unembed = options
      found.logits = linear(x, { weight, out: vocab, bias, layout })
      return found.logits
    },
    rotary(x, { heads, dHead, rotaryDims = dHead }) {
      sized('what is turned', x, heads * dHead)
      const pairs = rotaryDims > 0 && rotaryDims <= dHead && rotaryDims % 2 === 0
      check(pairs, `${rotaryDims} of a head's ${dHead} dimensions turn in pairs`)
      return { width: x.width }
    },
    attention(q, k, v, { layer, heads, kvHeads, dHead, dValue = dHead, window, sinks }) {
      found.inBlock('attention', layer)
      check(heads % kvHeads === 0, `${heads} heads share ${kvHeads} heads of keys and values`)
      check(
        window === undefined || (Number.isSafeInteger(window) && window > 0),
        `a window of ${window} keys`,
      )
      sized('the query', q, heads * dHead)
      sized('the key', k, kvHeads * dHead)
      sized('the value', v, kvHeads * dValue)
      parameter(sinks, heads)
      const limit = window === undefined ? {} : { window }
      found.cached({ kind: 'attention', layer, keys: k.width, values: v.width, ...limit })
      found.layers[layer].attention = { heads, kvHeads, dHead, ...limit }
      return { width: heads * dValue }
    },
    shortConv(x, { layer, width, weight, bias, kernel }) {
      found.inBlock('a convolution', layer)
      sized('what is convolved', x, width)
      check(Number.isSafeInteger(kernel) && kernel > 1, `a convolution over ${kernel} tokens`)
      parameter(weight, width, 1, kernel)
      parameter(bias, width)
      found.cached({ kind: 'state', layer, name: 'conv', shape: [kernel - 1, width] })
      return { width }
    },
    split(x, widths) {
      const total = widths.reduce((sum, width) => sum + width, 0)
      sized('what is split', x, total)
      return widths.map(width => ({ width }))
    },
    add: equal('what is added'),
    multiply: equal('what is multiplied'),
    scale: x => ({ width: x.width }),
    activation: x => ({ width: x.width }),
  }
}

const equal = (what: string) => (a: Shape, b: Shape) => {
  sized(what, b, a.width)
  return { width: a.width }
}

const contradiction = (message: string) => new Error(`the architecture contradicts itself: ${message}`)

function check(holds: boolean, message: string): void {
  if (!holds) throw contradiction(message)
}

function sized(what: string, { width }: Shape, expected: number): void {
  check(width === expected, `${what} is ${width} wide and not ${expected}`)
}
