// What only a training knows: the terms of the loss as they enter it, and how the run goes.
import type { Metric } from '../metric_table.ts'

const training = ['training'] as const

export const lossTerms = {
  loss: {
    label: 'Loss',
    unit: '',
    better: 'lower',
    counted: 'step_tokens',
    where: training,
    source: '',
    definition: 'Everything that is minimised: the sum of the terms below, in the space the SAE trains in.',
  },
  reconstruction: {
    label: 'Reconstruction term',
    unit: '',
    better: 'lower',
    counted: 'step_tokens',
    where: training,
    source: '',
    definition:
      'Mean over tokens of ‖y − x̂‖², summed over all levels with their weights, in the space the SAE trains in.',
  },
  sparsity: {
    label: 'Sparsity term',
    unit: '',
    better: 'none',
    counted: 'step_tokens',
    where: training,
    source: '',
    definition: 'The sparsity penalty times its coefficient as warmed up.',
  },
  aux: {
    label: 'AuxK term',
    unit: '',
    better: 'none',
    counted: 'step_tokens',
    where: training,
    source: 'Gao et al. 2024, arXiv 2406.04093',
    definition: 'Error of the dead latents’ reconstruction of the residual, times its coefficient.',
  },
  pre_act: {
    label: 'Pre-activation term',
    unit: '',
    better: 'none',
    counted: 'step_tokens',
    where: training,
    source: 'Anthropic, January 2025',
    definition: 'Coefficient times the mean over tokens of Σ ReLU(θ − π)·‖d‖.',
  },
  gate_aux: {
    label: 'Gate auxiliary term',
    unit: '',
    better: 'none',
    counted: 'step_tokens',
    where: training,
    source: 'Rajamanoharan et al. 2024, arXiv 2404.16014',
    definition: 'Mean over tokens of ‖y − (ReLU(π_gate) W_dec + b_dec)‖² of a gated SAE.',
  },
} as const satisfies Record<string, Metric>

export const runMetrics = {
  grad_norm: {
    label: 'Gradient norm',
    unit: '',
    better: 'none',
    counted: 'step_tokens',
    where: training,
    source: '',
    definition: 'L2 norm of the whole gradient before clipping, mean over the steps since the last event.',
  },
  learning_rate: {
    label: 'Learning rate',
    unit: '',
    better: 'none',
    counted: null,
    where: training,
    source: '',
    definition: 'Adam’s rate at the step shown, after warm-up and decay.',
  },
  tokens_per_second: {
    label: 'Speed',
    unit: 'tokens / s',
    better: 'higher',
    counted: null,
    where: training,
    source: '',
    definition: 'Unmasked tokens trained on per second of wall clock since the last event, capture included.',
  },
  memory_bytes: {
    label: 'Memory',
    unit: 'bytes',
    better: 'lower',
    counted: null,
    where: training,
    source: '',
    definition: 'Resident memory of the process that trains, at the event.',
  },
} as const satisfies Record<string, Metric>
