// What the pages fetch from the studio. A key is [collection, 'list' or 'one', …], so that an event knows what to update.
import { ApiError, channelOf, createClient, type FeatureQuery } from '@mistudio/contract'
import { infiniteQueryOptions, QueryClient, queryOptions } from '@tanstack/react-query'
import { readAlong } from './live/recent.ts'

export const client = createClient()

const collections = [
  'datasets',
  'tokenizations',
  'models',
  'trainings',
  'saes',
  'extractions',
  'features',
  'templates',
  'jobs',
] as const
export type Collection = (typeof collections)[number]

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      // The studio often runs on this very machine, so whether the browser thinks it is online means nothing.
      networkMode: 'always',
      staleTime: 5_000,
      retry: (failures, error) => !(error instanceof ApiError) && failures < 2,
      retryDelay: 1000,
    },
    mutations: { networkMode: 'always' },
  },
})

/** Rows of a list that are fetched at once; the page says when there are more. */
const limit = 200
/** The most that a request may ask for: for lists to choose from. */
const all = 500
const featuresPerPage = 100

export const queries = {
  datasets: () =>
    queryOptions({
      queryKey: ['datasets', 'list'],
      queryFn: ({ signal }) => client.listDatasets({ query: { limit: all }, signal }),
    }),
  tokenizations: () =>
    queryOptions({
      queryKey: ['tokenizations', 'list'],
      queryFn: ({ signal }) => client.listTokenizations({ query: { limit }, signal }),
    }),
  models: () =>
    queryOptions({
      queryKey: ['models', 'list'],
      queryFn: ({ signal }) => client.listModels({ query: { limit: all }, signal }),
    }),
  trainings: () =>
    queryOptions({
      queryKey: ['trainings', 'list'],
      queryFn: ({ signal }) => client.listTrainings({ query: { limit }, signal }),
    }),
  formats: () =>
    queryOptions({
      queryKey: ['formats'],
      queryFn: ({ signal }) => client.listFormats({ signal }),
      staleTime: Number.POSITIVE_INFINITY,
    }),
  families: () =>
    queryOptions({
      queryKey: ['families'],
      queryFn: ({ signal }) => client.listFamilies({ signal }),
      staleTime: Number.POSITIVE_INFINITY,
    }),
  recipes: () =>
    queryOptions({
      queryKey: ['recipes'],
      queryFn: ({ signal }) => client.listRecipes({ signal }),
      staleTime: Number.POSITIVE_INFINITY,
    }),
  metrics: () =>
    queryOptions({
      queryKey: ['metrics'],
      queryFn: ({ signal }) => client.listMetrics({ signal }),
      staleTime: Number.POSITIVE_INFINITY,
    }),
  training: (id: string) =>
    queryOptions({
      queryKey: ['trainings', 'one', id],
      queryFn: ({ signal }) =>
        readAlong(channelOf.training(id), () => client.getTraining({ params: { id }, signal })),
    }),
  trainingSaes: (id: string) =>
    queryOptions({
      queryKey: ['trainings', 'saes', id],
      queryFn: ({ signal }) => client.listTrainingSaes({ params: { id }, signal }),
    }),
  checkpoints: (id: string, live: boolean) =>
    queryOptions({
      queryKey: ['trainings', 'checkpoints', id],
      queryFn: ({ signal }) => client.listCheckpoints({ params: { id }, signal }),
      // New checkpoints come with the training's own events, and those do not refetch lists.
      refetchInterval: live ? 10_000 : false,
    }),
  saes: (search = '') =>
    queryOptions({
      queryKey: ['saes', 'list', search],
      queryFn: ({ signal }) =>
        client.listSaes({ query: { limit: all, ...(search !== '' && { search }) }, signal }),
    }),
  extractions: () =>
    queryOptions({
      queryKey: ['extractions', 'list'],
      queryFn: ({ signal }) => client.listExtractions({ query: { limit }, signal }),
    }),
  batch: (id: string) =>
    queryOptions({
      queryKey: ['extractions', 'list', id],
      queryFn: ({ signal }) => client.listExtractions({ query: { limit: all, batch_id: id }, signal }),
    }),
  extraction: (id: string) =>
    queryOptions({
      queryKey: ['extractions', 'one', id],
      queryFn: ({ signal }) =>
        readAlong(channelOf.extraction(id), () => client.getExtraction({ params: { id }, signal })),
    }),
  features: (query: Omit<FeatureQuery, 'limit' | 'offset'>) =>
    infiniteQueryOptions({
      queryKey: ['features', 'list', query],
      queryFn: ({ pageParam, signal }) =>
        client.listFeatures({ query: { ...query, limit: featuresPerPage, offset: pageParam }, signal }),
      initialPageParam: 0,
      getNextPageParam: ({ pagination: { has_more, offset, limit } }) =>
        has_more ? offset + limit : undefined,
    }),
  feature: (id: string) =>
    queryOptions({
      queryKey: ['features', 'one', id],
      queryFn: ({ signal }) => client.getFeature({ params: { id }, signal }),
    }),
  templates: () =>
    queryOptions({
      queryKey: ['templates', 'list'],
      queryFn: ({ signal }) =>
        client.listTemplates({ params: { kind: 'extraction' }, query: { limit: all }, signal }),
    }),
  activeJobs: () =>
    queryOptions({
      queryKey: ['jobs', 'list'],
      queryFn: ({ signal }) => client.listJobs({ query: { limit, active: 'true' }, signal }),
    }),
}
