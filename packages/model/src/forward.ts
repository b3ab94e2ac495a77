// A forward pass compiled for the worker pool: one graph with just the requested hooks, run in calls of a fixed number
// of contexts. The calls' shapes never change with the number of workers or of contexts, so every row is
// bit-identical however the work is distributed.

import { InputError } from '@mistudio/files'
import type { Dimension, GraphType, Task, View, WorkerPlace, WorkerPool } from '@mistudio/tensor'
import { type HookPoint, resolveHook } from './hooks.ts'
import type { LanguageModel } from './load.ts'
import { onnxOps } from './runtimes/onnx.ts'
import { blocksByWindow, causalBlocks } from './runtimes/onnx_attention.ts'
import type { ModelShapes } from './runtimes/shapes.ts'
import { createTape, integers, type Output, type Tape, type Value } from './runtimes/tape.ts'
import { openGraph } from './session.ts'

/** `width` is in elements per token; a port holds [contexts · contextSize, width], contexts one after another. */
export type Port = { name: string; dtype: 'float32' | 'int32'; width: number }

export type ForwardOptions = {
  model: LanguageModel
  pool: WorkerPool
  contextsPerCall: number
  /** Tokens of a context, at most the model's own. */
  contextSize: number
  /** Hook points to output, after interventions. */
  captures?: readonly string[]
  /** Output `logits` [tokens, vocab]. */
  logits?: boolean
  /** Output `token_loss` [contexts, contextSize]: −log p(next token) in nats, 0 at the last position. */
  tokenLoss?: boolean
  /**
   * Input `clean_log_probs` [tokens, vocab]; outputs `log_probs` [tokens, vocab] and `token_kl` [contexts, contextSize]:
   * KL(clean ‖ this run) in nats over the whole vocabulary at every position. Run it once untouched (whatever the input
   * holds) to get `log_probs`, then with something changed.
   */
  tokenKl?: boolean
  /** Hook points whose value is an input `replace:HOOK` instead. */
  replace?: readonly string[]
  /** Hook points (`from` too) whose value is an input `splice:HOOK` at the tokens where the input `spliced` [tokens, 1] is 1. */
  splice?: readonly string[]
  /** Hook points to which an input `add:HOOK` is added. */
  add?: readonly string[]
  /** Suffix: this hook's value is an input of the same name, and only what follows runs. */
  from?: string
}

export type Forward = {
  inputs: Port[]
  outputs: Port[]
  /** Hook values a suffix needs besides `from`; also inputs. */
  frontier: string[]
  /** Blocks that have at least one operation in the graph. */
  layersRun: number
  /**
   * The work for `contexts` contexts. `places` has one place per port; inputs and outputs hold a whole
   * number of calls (contexts rounded up to contextsPerCall): padding is computed and must be ignored, but its
   * token ids must be valid. A place that differs from worker to worker holds one call: it passes values between the
   * steps of a task, and tasks of several forwards joined call by call share it.
   */
  tasks(options: { contexts: number; places: Record<string, WorkerPlace> }): Task[]
  close(): Promise<void>
}

/**
 * Records, compiles and loads a graph, one session per worker.
 * @throws InputError for an unknown hook (lists the available ones), a hook before `from`, a context longer than the
 * model's
 * @example
 * const size = { contextsPerCall: 8, contextSize: 128 }
 * const forward = await compileForward({ model, pool, ...size, captures: ['blocks.4.hook_resid_post'] })
 * const memory = await pool.memory({ bytes: 8 << 20 })
 * const room = (width: number) => ({ memory: memory.id, offset: memory.alloc(8 * 128 * width * 4) })
 * const places = Object.fromEntries([...forward.inputs, ...forward.outputs].map(({ name, width }) => [name, room(width)]))
 * await pool.run(forward.tasks({ contexts: 8, places }))
 */
export async function compileForward(options: ForwardOptions): Promise<Forward> {
  const { model, pool, contextsPerCall, contextSize } = options
  checkSizes(options)
  const { emitted, inputs, outputs, frontier } = recordForward(options)
  const session = await openGraph({ model, pool, bytes: emitted.bytes })
  return {
    inputs,
    outputs,
    frontier,
    layersRun: emitted.layers.size,
    tasks({ contexts, places }) {
      for (const { name } of [...inputs, ...outputs]) {
        if (!Object.hasOwn(places, name)) throw new Error(`no place for ${name}`)
      }
      const view = ({ name, dtype, width }: Port, call: number): View => {
        const { memory, offset } = places[name]
        const rows = contextsPerCall * contextSize
        return {
          memory,
          offset: typeof offset === 'number' ? offset + call * rows * width * 4 : offset,
          dtype,
          shape: portShape(options, name, width),
        }
      }
      const views = (ports: readonly Port[], call: number) =>
        Object.fromEntries(ports.map(port => [port.name, view(port, call)]))
      return Array.from({ length: Math.ceil(contexts / contextsPerCall) }, (_, call) => [
        { session, inputs: views(inputs, call), outputs: views(outputs, call) },
      ])
    },
    close: () => pool.closeSession(session),
  }
}

function recordForward(options: ForwardOptions) {
  const { model, captures = [], logits = false, tokenLoss = false, tokenKl = false, from } = options
  const { config, shapes, forward, weights } = model
  const points = shapes.hooks
  const tape = createTape()
  const tokens = contextTokens(tape, options)
  const ops = onnxOps({ tape, dModel: config.dModel, tokens })
  const replaced = new Set(options.replace)
  const added = new Set(options.add)
  const spliced = new Set(options.splice)
  const rows = options.contextsPerCall * options.contextSize
  const values = new Map<string, Value>()
  const before = new Map<Value, { name: string; dtype: GraphType; shape: Dimension[] }>()
  let reached = from === undefined
  const widths = new Map(points.map(({ name, width }) => [name, width]))
  const input = (name: string, hook: string) => tape.input(name, 'float32', [rows, widths.get(hook)!])

  const isSpliced = () =>
    tape.node('Greater', [
      tape.input('spliced', 'float32', [rows, 1]),
      tape.constant(new Float32Array(1), [1]),
    ])

  checkHooks(options, points)
  const result = forward(ops, (name, computed) => {
    let value = computed
    if (name === from) {
      value = input(name, name)
      reached = true
    } else if (!reached && !before.has(value)) {
      before.set(value, { name, dtype: 'float32', shape: [rows, widths.get(name)!] })
    }
    if (replaced.has(name)) value = input(`replace:${name}`, name)
    if (spliced.has(name)) value = tape.node('Where', [isSpliced(), input(`splice:${name}`, name), value])
    if (added.has(name)) value = ops.add(value, input(`add:${name}`, name))
    values.set(name, value)
    tape.layer = layerAfter(name, shapes)
    return value
  })
  const outputs: Output[] = captures.map(name => ({
    name,
    value: values.get(name)!,
    dtype: 'float32',
    shape: [rows, widths.get(name)!],
  }))
  if (logits)
    outputs.push({ name: 'logits', value: result, dtype: 'float32', shape: [rows, config.vocabSize] })
  const { contextsPerCall, contextSize } = options
  const perToken = (name: string, value: Value): Output => ({
    name,
    value,
    dtype: 'float32',
    shape: [contextsPerCall, contextSize],
  })
  // LogSoftmax subtracts the row's maximum, so nothing overflows and a probability too small for float32 still has
  // its logarithm; it is ten times faster than ReduceLogSumExp.
  const chances = tokenLoss || tokenKl ? tape.node('LogSoftmax', [result], { axis: -1 }) : result
  if (tokenLoss) {
    const value = lossOfNext(tape, tokens.inputIds, chances, contextsPerCall, contextSize)
    outputs.push(perToken('token_loss', value))
  }
  if (tokenKl) {
    const shape = [rows, config.vocabSize]
    const clean = tape.input('clean_log_probs', 'float32', shape)
    outputs.push({ name: 'log_probs', value: chances, dtype: 'float32', shape })
    outputs.push(perToken('token_kl', divergence(tape, clean, chances, contextsPerCall, contextSize)))
  }
  const emitted = tape.emit({ outputs, weights, cut: from === undefined ? undefined : before })
  const portWidth = (name: string) => {
    if (name === 'logits' || name.endsWith('log_probs')) return config.vocabSize
    return widths.get(name.replace(/^(replace|add|splice):/, '')) ?? 1
  }
  const port = (name: string): Port => ({
    name,
    dtype: name === 'input_ids' ? 'int32' : 'float32',
    width: portWidth(name),
  })
  return {
    emitted,
    inputs: emitted.inputs.map(port),
    outputs: outputs.map(({ name }) => port(name)),
    frontier: emitted.inputs.filter(name => name !== from && widths.has(name)),
  }
}

/** Nodes recorded after a block's first hook belong to it, those after its last hook to none. */
function layerAfter(name: string, { hooks, layers }: ModelShapes): number | null {
  const point = resolveHook(hooks, name)
  const { layer } = point
  return layer === null || point === hooks[layers[layer].span.last] ? null : layer
}

function contextTokens(tape: Tape, { contextsPerCall, contextSize }: ForwardOptions) {
  const positions = BigInt64Array.from({ length: contextsPerCall * contextSize }, (_, i) =>
    BigInt(i % contextSize),
  )
  return {
    inputIds: tape.input('input_ids', 'int32', [contextsPerCall, contextSize]),
    positions: tape.constant(positions, [positions.length]),
    contexts: contextsPerCall,
    length: contextSize,
    blocks: blocksByWindow(window => causalBlocks({ tape, length: contextSize, window })),
    rotaryPositions: tape.constant(BigInt64Array.of(0n), [1]),
    farthest: contextSize,
  }
}

/** −log p at the next token. */
function lossOfNext(tape: Tape, inputIds: Value, chances: Value, contexts: number, length: number): Value {
  const list = (...numbers: number[]) => integers(tape, ...numbers)
  // The first token replaces the last position's missing next one; its loss is multiplied by 0.
  const next = tape.node(
    'Concat',
    [
      tape.node('Slice', [inputIds, list(1), list(length), list(1)]),
      tape.node('Slice', [inputIds, list(0), list(1), list(1)]),
    ],
    { axis: 1 },
  )
  const target = tape.node('GatherElements', [chances, tape.node('Reshape', [next, list(-1, 1)])], {
    axis: 1,
  })
  const loss = tape.node('Neg', [tape.node('Reshape', [target, list(contexts, length)])])
  const counted = new Float32Array(length).fill(1)
  counted[length - 1] = 0
  return tape.node('Mul', [loss, tape.constant(counted, [length])])
}

/** Σ p (log p − log q) per token. */
function divergence(tape: Tape, clean: Value, chances: Value, contexts: number, length: number): Value {
  const parts = tape.node('Mul', [tape.node('Exp', [clean]), tape.node('Sub', [clean, chances])])
  const sums = tape.node('ReduceSum', [parts, integers(tape, 1)], { keepdims: 0 })
  return tape.node('Reshape', [sums, integers(tape, contexts, length)])
}

function portShape({ contextsPerCall, contextSize }: ForwardOptions, name: string, width: number): number[] {
  const perContext = name === 'input_ids' || name.startsWith('token_')
  return perContext ? [contextsPerCall, contextSize] : [contextsPerCall * contextSize, width]
}

function checkSizes({ model, contextsPerCall, contextSize }: ForwardOptions): void {
  const { nCtx } = model.config
  if (!Number.isSafeInteger(contextSize) || contextSize < 1 || contextSize > nCtx) {
    throw new InputError({
      message: 'the context does not fit the model',
      field: 'context size',
      found: String(contextSize),
      expected: `1 to ${nCtx} tokens`,
    })
  }
  if (!Number.isSafeInteger(contextsPerCall) || contextsPerCall < 1) {
    throw new InputError({
      message: 'a call needs contexts',
      field: 'contextsPerCall',
      found: String(contextsPerCall),
      expected: 'a positive integer',
    })
  }
}

function checkHooks(options: ForwardOptions, points: readonly HookPoint[]): void {
  const { captures = [], replace = [], add = [], splice = [], from, logits, tokenLoss, tokenKl } = options
  if (captures.length === 0 && !logits && !tokenLoss && !tokenKl) {
    throw new InputError({
      message: 'no outputs are requested from the model',
      expected: 'hook points, logits or a loss',
    })
  }
  const order = (name: string) => points.indexOf(resolveHook(points, name))
  const first = from === undefined ? -1 : order(from)
  for (const name of [...captures, ...replace, ...add, ...splice.filter(hook => hook !== from)]) {
    if (order(name) > first) continue
    throw new InputError({
      message: 'the graph begins at another hook point and does not compute this one',
      field: 'hook',
      found: name,
      expected: `a hook point after ${from}`,
    })
  }
}
