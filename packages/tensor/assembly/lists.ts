// Hits by latent: the lists that the gradients are summed from.
import { word } from './vector'

/** Counting sort of flat positions by latent, stable. `starts` has m + 1 entries. */
export function buildLists(idx: usize, val: usize, n: i32, m: i32, skipZero: i32, starts: usize, entries: usize): void {
  memory.fill(starts, 0, word(m + 1))
  for (let p = 0; p < n; p++) {
    const o = word(p)
    if (skipZero && load<f32>(val + o) == 0) continue
    const s = starts + word(load<i32>(idx + o))
    store<i32>(s, load<i32>(s) + 1)
  }
  let sum = 0
  for (let i = 0; i <= m; i++) {
    const s = starts + word(i)
    sum += load<i32>(s)
    store<i32>(s, sum)
  }
  // Filling from the back turns ends into starts and keeps positions of equal latents ascending.
  for (let p = n - 1; p >= 0; p--) {
    const o = word(p)
    if (skipZero && load<f32>(val + o) == 0) continue
    const s = starts + word(load<i32>(idx + o))
    const at = load<i32>(s) - 1
    store<i32>(s, at)
    store<i32>(entries + word(at), p)
  }
}
