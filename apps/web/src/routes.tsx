// Every page and its address. A page is loaded when it is first visited; what is chosen on it (search, sort, an open
// dialog) is in its address, so that it can be linked to.
import { featureSorts } from '@mistudio/contract'
import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  type SearchSchemaInput,
} from '@tanstack/react-router'
import { NotFound, PageError, Shell } from './parts/shell.tsx'

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound, errorComponent: PageError })
const under = () => root

type Raw = Record<string, unknown> & SearchSchemaInput
/** The router reads `17` and `true` as values; a search for them is text. */
const text = (value: unknown) => {
  if (value === undefined || value === '') return undefined
  return typeof value === 'string' ? value : JSON.stringify(value)
}
const number = (value: unknown) => {
  const parsed = typeof value === 'number' ? value : Number.parseFloat(String(value))
  return Number.isFinite(parsed) ? parsed : undefined
}

const home = createRoute({
  getParentRoute: under,
  path: '/',
  component: lazyRouteComponent(() => import('./pages/home/home.tsx'), 'Home'),
})
const datasets = createRoute({
  getParentRoute: under,
  path: '/datasets',
  component: lazyRouteComponent(() => import('./pages/datasets/datasets.tsx'), 'Datasets'),
})
const models = createRoute({
  getParentRoute: under,
  path: '/models',
  component: lazyRouteComponent(() => import('./pages/models/models.tsx'), 'Models'),
})
const trainings = createRoute({
  getParentRoute: under,
  path: '/trainings',
  component: lazyRouteComponent(() => import('./pages/trainings/trainings.tsx'), 'Trainings'),
})
const newTraining = createRoute({
  getParentRoute: under,
  path: '/trainings/new',
  component: lazyRouteComponent(() => import('./pages/trainings/new_training.tsx'), 'NewTraining'),
})
const training = createRoute({
  getParentRoute: under,
  path: '/trainings/$id',
  validateSearch: (raw: Raw) => ({ dialog: raw.dialog === 'import' ? ('import' as const) : undefined }),
  component: lazyRouteComponent(() => import('./pages/trainings/training.tsx'), 'TrainingPage'),
})
const saes = createRoute({
  getParentRoute: under,
  path: '/saes',
  validateSearch: (raw: Raw) => ({
    search: text(raw.search),
    dialog: raw.dialog === 'import' ? ('import' as const) : undefined,
    training: text(raw.training),
  }),
  component: lazyRouteComponent(() => import('./pages/saes/saes.tsx'), 'Saes'),
})
const extractions = createRoute({
  getParentRoute: under,
  path: '/extractions',
  component: lazyRouteComponent(() => import('./pages/extractions/extractions.tsx'), 'Extractions'),
})
const newExtraction = createRoute({
  getParentRoute: () => extractions,
  path: 'new',
  validateSearch: (raw: Raw) => ({ sae: text(raw.sae), template: text(raw.template) }),
  component: lazyRouteComponent(() => import('./pages/extractions/new_extraction.tsx'), 'NewExtraction'),
})
const extraction = createRoute({
  getParentRoute: under,
  path: '/extractions/$id',
  component: lazyRouteComponent(() => import('./pages/extractions/extraction.tsx'), 'ExtractionPage'),
})
const features = createRoute({
  getParentRoute: under,
  path: '/extractions/$id/features',
  validateSearch: (raw: Raw) => ({
    search: text(raw.search),
    sort_by: featureSorts.find(sort => sort === raw.sort_by),
    sort_order: raw.sort_order === 'asc' ? ('asc' as const) : undefined,
    min_density: number(raw.min_density),
    max_density: number(raw.max_density),
    min_max: number(raw.min_max),
    max_max: number(raw.max_max),
  }),
  component: lazyRouteComponent(() => import('./pages/features/features.tsx'), 'Features'),
})
const feature = createRoute({
  getParentRoute: under,
  path: '/features/$id',
  component: lazyRouteComponent(() => import('./pages/feature/feature.tsx'), 'FeaturePage'),
})
const templates = createRoute({
  getParentRoute: under,
  path: '/templates',
  component: lazyRouteComponent(() => import('./pages/templates/templates.tsx'), 'Templates'),
})

export const router = createRouter({
  routeTree: root.addChildren([
    home,
    datasets,
    models,
    trainings,
    newTraining,
    training,
    saes,
    extractions.addChildren([newExtraction]),
    extraction,
    features,
    feature,
    templates,
  ]),
  scrollRestoration: true,
  defaultPreload: 'intent',
  // Data is kept by the query cache; the router has none of its own.
  defaultPreloadStaleTime: 0,
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}
