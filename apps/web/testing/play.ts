// What happens in the test server: a training and an extraction that are under way and continue.
import type { EventData, TrainingMember } from '@mistudio/contract'
import { noise } from './features.ts'
import { jobs } from './jobs.ts'
import type { Log } from './log.ts'
import { runningExtraction as extraction, tokenizations, runningTraining as training } from './world.ts'

const trainChannel = `training/${training.id}`
const extractChannel = `extraction/${extraction.id}`

/** Advances both by a step, as the studio would: entities first, then the event in the log. */
export function createPlay({ log }: { log: Log }) {
  let turn = 0

  function train(at: number): void {
    const step = Math.min(1024, training.step + 8)
    const members: TrainingMember[] = training.saes.map((member, i) => {
      const k = Number(member.variant.k ?? 32)
      const falling =
        (0.12 + 0.9 * Math.exp(-step / 160) + 0.04 * i + 0.015 * noise(step, i)) * Math.sqrt(32 / k)
      const l0 = k - 0.1 * noise(step, i + 9)
      const dead = step < 200 ? null : Math.round(40 + step * 0.2 + 30 * i)
      const grad_norm = 0.01 + 0.1 * Math.exp(-step / 90)
      return {
        ...member,
        status: 'training',
        step,
        loss: falling * 0.6,
        fvu: falling,
        l0,
        dead_latents: dead,
        grad_norm,
        metrics: {
          step_tokens: 8192,
          loss: falling * 0.6,
          reconstruction: falling * 0.58,
          sparsity: 0,
          aux: falling * 0.02,
          pre_act: 0,
          gate_aux: 0,
          fvu: falling,
          explained_variance: 1 - falling,
          mse: falling * 3,
          cosine: 1 - falling / 2,
          l2_ratio: 0.94,
          relative_reconstruction_bias: 0.98,
          l0,
          l1: 14.2,
          dead_latents: dead,
          grad_norm,
          learning_rate: 1e-3,
        },
        l0_histogram: [0, 0, 40, 300, 1200, 3900, 2700, 52],
        density_histogram: [40, 0, 0, 12, 90, 410, 1500, 1800, 236, 8],
        warnings:
          i === 1 && step > 200
            ? [
                {
                  kind: 'dead_latents',
                  message: '512 of 4096 latents (13 %) did not fire in the last 104857 tokens',
                  advice: 'raise aux_coefficient, or lower the learning rate, or take fewer latents',
                  step: 200,
                },
              ]
            : [],
      }
    })
    Object.assign(training, {
      status: 'running',
      step,
      tokens: step * 1024,
      progress: step / 1024,
      tokens_per_second: 5200 + 400 * noise(step, 3),
      eta_seconds: Math.round(((1024 - step) * 1024) / 5400),
      memory_bytes: 1_140_000_000,
      outlier_tokens: { 'blocks.2.hook_resid_post': 31 },
      saes: members,
    })
    log.add(trainChannel, 'training:progress', measuredTraining(), at)
    jobs[0].progress = training.progress
  }

  function measuredTraining(): EventData<'training:progress'> {
    return {
      training_id: training.id,
      status: training.status,
      progress: training.progress,
      step: training.step,
      total_steps: 1024,
      tokens: training.tokens,
      total_tokens: training.total_tokens,
      tokens_per_second: training.tokens_per_second ?? 0,
      eta_seconds: training.eta_seconds,
      memory_bytes: training.memory_bytes,
      outlier_tokens: training.outlier_tokens,
      learning_rate: 1e-3,
      saes: training.saes,
    }
  }

  function extract(at: number): void {
    const samples = Math.min(extraction.total_samples, extraction.samples_processed + 24)
    const share = samples / extraction.total_samples
    Object.assign(extraction, {
      status: 'extracting',
      stage: 'EXTRACTING',
      started_at: extraction.started_at ?? new Date(at).toISOString(),
      samples_processed: samples,
      progress: share,
      current_batch: Math.ceil(share * extraction.total_batches),
      samples_per_second: 64 + 12 * noise(samples, 1),
      mean_samples_per_second: 67,
      eta_seconds: Math.round((extraction.total_samples - samples) / 67),
      features_in_heap: Math.round(3800 * (1 - Math.exp(-share * 5))),
      heap_examples_count: Math.round(61_000 * (1 - Math.exp(-share * 3))),
    })
    const { progress, current_batch, total_batches, samples_processed, total_samples } = extraction
    log.add(
      extractChannel,
      'extraction:progress',
      {
        extraction_id: extraction.id,
        status: 'extracting',
        nlp_status: 'pending',
        stage: 'EXTRACTING',
        phase: 'extracting',
        ...{ progress, current_batch, total_batches, samples_processed, total_samples },
        samples_per_second: extraction.samples_per_second,
        mean_samples_per_second: 67,
        eta_seconds: extraction.eta_seconds,
        features_in_heap: extraction.features_in_heap,
        heap_examples_count: extraction.heap_examples_count,
      },
      at,
    )
    jobs[1].progress = progress
  }

  function analyse(): void {
    const share = Math.min(1, extraction.nlp_progress + 0.1)
    const ended = share >= 1
    Object.assign(extraction, {
      status: 'completed',
      nlp_status: ended ? 'completed' : 'processing',
      stage: ended ? 'COMPLETED' : 'NLP_ANALYSIS',
      nlp_progress: share,
      nlp_processed_count: Math.round(3800 * share),
      features: 4096,
      features_alive: 3800,
    })
    const { id, nlp_progress, nlp_processed_count } = extraction
    log.add(extractChannel, 'extraction:nlp_progress', {
      ...{
        extraction_id: id,
        status: 'completed',
        nlp_status: extraction.nlp_status,
        stage: extraction.stage,
      },
      ...{ nlp_progress, nlp_processed_count, nlp_total_count: 3800 },
    })
    jobs[1].status = 'completed'
    jobs[2].status = ended ? 'completed' : 'running'
    jobs[2].progress = share
    const { id: job_id, kind, entity, title, status, progress } = jobs[2]
    log.add('jobs/all', 'job:status', {
      ...{ job_id, kind, entity, title, status, progress, error_message: null },
    })
  }

  return {
    step(at = Date.now()): void {
      turn++
      if (training.step < 1024) train(at)
      if (extraction.samples_processed < extraction.total_samples) extract(at)
      else if (extraction.nlp_progress < 1) analyse()
      if (turn % 4 === 0 && tokenizations[3].progress < 0.95) tokenizations[3].progress += 0.01
    },
  }
}
