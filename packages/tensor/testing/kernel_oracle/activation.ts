// Float64 oracle of the dense activations and their gradients (assembly/activation.ts), one entry at a time.

/** π and f of one pre-activation z. */
export const reluRows = (z: number, b: number) => ({ pi: z + b, f: Math.max(0, z + b) })
export const jumpreluRows = (z: number, b: number, theta: number) => ({
  pi: z + b,
  f: z + b > theta ? z + b : 0,
})
export function gatedRows(z: number, b: number, er: number, bMag: number) {
  return { pi: z + b, f: z + b > 0 ? Math.max(0, z * er + bMag) : 0 }
}

export const reluInto = (x: number) => Math.max(0, x)
export const expRange = (x: number) => Math.exp(x)

/** dL/dπ of a ReLU entry; `u` = scale·D. */
export const reluBack = (u: number, f: number, pen: number) => (f > 0 ? u + pen : 0)

/** dL/dπ of a ReLU entry under f^p, and f^p. */
export function powerBack(u: number, f: number, pen: number, p: number): { g: number; power: number } {
  return f > 0 ? { g: u + pen * p * f ** (p - 1), power: f ** p } : { g: 0, power: 0 }
}

/** dL/dπ and dL/dθ of a JumpReLU entry; `u` = scale·D. See plan.ts for the estimators. */
export function jumpreluBack(given: {
  u: number
  pi: number
  theta: number
  epsilon: number
  step: number
  pen: number
  norm: number
  stretch: number
  pre: number
  toInput: boolean
}): { g: number; threshold: number; tanh: number; norm: number; open: number } {
  const { pi, theta, epsilon, step, pen, norm, stretch, pre, toInput } = given
  const f = pi > theta ? pi : 0
  const tanh = Math.tanh(stretch * f * norm)
  const slope = pen * stretch * (1 - tanh * tanh)
  const u = given.u + slope * norm
  const window = Math.abs(pi - theta) < epsilon / 2 ? 1 / epsilon : 0
  const kernel = window * (theta * u + step)
  const off = pi < theta ? pre : 0
  return {
    g: (pi > theta ? u : 0) + (toInput ? kernel : 0) - off,
    threshold: off - kernel,
    tanh: pi > theta ? tanh : 0,
    norm: slope * f,
    open: off > 0 ? theta - pi : 0,
  }
}

/** Gated: dL/dz through both paths, and each parameter's share; `u`, `u2` = scale·D of both reconstructions. */
export function gatedBack(given: {
  u: number
  u2: number
  pi: number
  f: number
  b: number
  er: number
  pen: number
}) {
  const { u, u2, pi, f, b, er, pen } = given
  const magnitude = f > 0 ? u : 0
  const gate = pi > 0 ? u2 + pen : 0
  return { g: magnitude * er + gate, gate, magnitude, scale: magnitude * er * (pi - b), pi: Math.max(0, pi) }
}
