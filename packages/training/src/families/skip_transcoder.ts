// Skip transcoders: a transcoder with an affine path W_skip x parallel to the latents, which handles the linear part of the
// layer. W_skip is learned and starts at zero; it is never the identity, which would make reconstruction trivial.
import { defineTranscoder } from './transcoder.ts'

export const skipTranscoder = defineTranscoder({
  name: 'skip_transcoder',
  title: 'Skip transcoder',
  summary: 'A transcoder with a learned linear path parallel to its latents.',
  paper: {
    title: 'Transcoders Beat Sparse Autoencoders for Interpretability (Paulo et al. 2025)',
    where: 'arXiv 2501.18823',
  },
  skip: true,
})
