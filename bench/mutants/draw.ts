// Mutants of one file: small changes to its text, found in its syntax tree, that a test ought to notice. Types, imports and
// texts are left alone. AssemblyScript is parsed as the TypeScript it looks like, and has SIMD instructions to swap.
import { parseSync } from 'vite'

/** Replace [start, end) of the file's text with `text`. */
export type Mutant = { file: string; start: number; end: number; was: string; text: string; kind: string }

type Node = { type: string; start: number; end: number } & Record<string, unknown>

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as Node).type === 'string'

const boundaries: Record<string, string[]> = {
  '<': ['<=', '>='],
  '<=': ['<', '>'],
  '>': ['>=', '<='],
  '>=': ['>', '<'],
  '===': ['!=='],
  '!==': ['==='],
  '==': ['!='],
  '!=': ['=='],
}
const arithmetic: Record<string, string> = {
  ...{ '+': '-', '-': '+', '*': '/', '/': '*', '%': '*', '**': '*' },
  ...{ '<<': '>>', '>>': '<<', '>>>': '<<', '&': '|', '|': '&', '^': '&' },
}
const assignments: Record<string, string> = {
  ...{
    '+=': '-=',
    '-=': '+=',
    '*=': '/=',
    '/=': '*=',
    '&=': '|=',
    '|=': '&=',
    '<<=': '>>=',
    '>>=': '<<=',
    '^=': '|=',
  },
}
/** Calls of one name that become calls of another: `Math.min`, `list.some`, `f32x4.gt`. */
const callees: Record<string, string> = {
  ...{
    min: 'max',
    max: 'min',
    pmin: 'pmax',
    pmax: 'pmin',
    floor: 'ceil',
    ceil: 'floor',
    round: 'floor',
    some: 'every',
  },
  ...{
    every: 'some',
    add: 'sub',
    sub: 'add',
    mul: 'add',
    gt: 'ge',
    ge: 'gt',
    lt: 'le',
    le: 'lt',
    startsWith: 'endsWith',
  },
}
const onlyOfSimd = new Set(['add', 'sub', 'mul', 'gt', 'ge', 'lt', 'le'])
/** Calls on a value that leave the value itself. */
const droppable = new Set([
  'filter',
  'sort',
  'slice',
  'reverse',
  'toSorted',
  'concat',
  'flat',
  'trim',
  'subarray',
])
const wrapped = new Set(['TSAsExpression', 'TSNonNullExpression', 'TSSatisfiesExpression', 'TSTypeAssertion'])

/** All mutants of a text, in its order. */
export function mutantsOf(options: { file: string; text: string }): Mutant[] {
  const { file, text } = options
  // Decorators of functions are AssemblyScript's own.
  const plain = text.replace(/^@\w+(\(.*\))?/gm, found => ' '.repeat(found.length))
  const { program, errors } = parseSync(file, plain)
  if (errors.length > 0) throw new Error(`${file}: ${errors[0].message}`)
  const mutants: Mutant[] = []
  const source = (node: Node) => text.slice(node.start, node.end)
  const add = (kind: string, node: { start: number; end: number }, replacement: string) => {
    const was = text.slice(node.start, node.end)
    if (was !== replacement)
      mutants.push({ file, start: node.start, end: node.end, was, text: replacement, kind })
  }

  /** The operator between two operands. */
  function between(node: Node, left: Node, right: Node): { start: number; end: number } {
    const start = plain.indexOf(node.operator as string, left.end)
    return start < right.start ? { start, end: start + (node.operator as string).length } : left
  }

  function ofBinary(node: Node): void {
    const { left, right } = node as unknown as { left: Node; right: Node }
    const operator = node.operator as string
    const isText = [left, right].some(
      side => side.type === 'TemplateLiteral' || typeof side.value === 'string',
    )
    const place = between(node, left, right)
    for (const other of boundaries[operator] ?? []) add('comparison', place, other)
    if (operator in arithmetic && !isText) add('arithmetic', place, arithmetic[operator])
  }

  function ofLogical(node: Node): void {
    const { left, right } = node as unknown as { left: Node; right: Node }
    if (node.operator === '??') {
      add('fallback', node, source(left))
      return
    }
    add('logic', between(node, left, right), node.operator === '&&' ? '||' : '&&')
    add('logic', node, source(left))
    add('logic', node, source(right))
  }

  function ofTest(test: Node): void {
    add('condition', test, `!(${source(test)})`)
    add('condition', test, 'false')
  }

  function ofCall(node: Node): void {
    const callee = node.callee as Node
    const name = callee.type === 'MemberExpression' ? (callee.property as Node) : callee
    const method = name.type === 'Identifier' ? (name.name as string) : ''
    const of = callee.type === 'MemberExpression' ? source(callee.object as Node) : ''
    if (method in callees && (!onlyOfSimd.has(method) || /^[fi]\d+x\d+$/.test(of)))
      add('call', name, callees[method])
    if (droppable.has(method) && of !== '') add('method', node, of)
  }

  function ofLiteral(node: Node): void {
    const { value } = node
    if (typeof value === 'boolean') add('constant', node, String(!value))
    if (typeof value !== 'number') return
    add('constant', node, Number.isInteger(value) ? String(value + 1) : String(value * 2))
    if (value > 0 && Number.isInteger(value)) add('constant', node, String(value - 1))
  }

  function visit(node: Node): void {
    if (wrapped.has(node.type)) {
      visit(node.expression as Node)
      return
    }
    if (node.type.startsWith('TS') || node.type === 'ImportDeclaration') return
    if (node.type === 'ThrowStatement') add('statement', node, ';')
    switch (node.type) {
      case 'BinaryExpression':
        ofBinary(node)
        break
      case 'LogicalExpression':
        ofLogical(node)
        break
      case 'IfStatement':
        ofTest(node.test as Node)
        add('condition', node.test as Node, 'true')
        break
      case 'WhileStatement':
        add('condition', node.test as Node, 'false')
        break
      case 'ConditionalExpression':
        add('ternary', node, source(node.consequent as Node))
        add('ternary', node, source(node.alternate as Node))
        break
      case 'UnaryExpression':
        if (node.operator === '!' || node.operator === '-') add('unary', node, source(node.argument as Node))
        break
      case 'UpdateExpression':
        add(
          'arithmetic',
          node,
          source(node).replace(node.operator as string, node.operator === '++' ? '--' : '++'),
        )
        break
      case 'AssignmentExpression': {
        const { left, right } = node as unknown as { left: Node; right: Node }
        const operator = node.operator as string
        if (operator in assignments) add('arithmetic', between(node, left, right), assignments[operator])
        break
      }
      case 'CallExpression':
        ofCall(node)
        break
      case 'Literal':
        ofLiteral(node)
        break
      case 'ExpressionStatement':
        if (node.directive === undefined) add('statement', node, ';')
        break
      case 'BreakStatement':
      case 'ContinueStatement':
        add('statement', node, ';')
        break
      case 'ReturnStatement':
        if (node.argument === null) add('statement', node, ';')
        else if (!file.includes('/assembly/')) add('return', node.argument as Node, 'undefined')
        break
    }
    for (const value of Object.values(node)) {
      for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) visit(child)
    }
  }
  visit(program as unknown as Node)
  return mutants.sort((a, b) => a.start - b.start || a.end - b.end || (a.text < b.text ? -1 : 1))
}

/** A shuffled list, the same for the same seed (mulberry32 and Fisher-Yates). */
export function shuffled<T>(list: readonly T[], seed: number): T[] {
  let state = seed >>> 0
  const random = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  const all = [...list]
  for (let i = all.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[all[i], all[j]] = [all[j], all[i]]
  }
  return all
}
