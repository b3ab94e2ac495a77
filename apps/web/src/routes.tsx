// Every page, one line each: its address, the file it is loaded from when it is first visited, and its name and icon in
// the navigation, which lists pages in the order of the lines. What is chosen on a page (a search, an open dialog) is
// part of its address, so that it can be linked to; `search` says which of it the page knows.
import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from '@tanstack/react-router'
import * as icons from 'lucide-react'
import { featuresSearch } from './pages/features/search.ts'
import { newExtractionSearch } from './pages/new_extraction/search.ts'
import { saesSearch } from './pages/saes/search.ts'
import { trainingSearch } from './pages/training/search.ts'
import type { RawSearch } from './parts/address.ts'
import { NotFound, PageError } from './shell/not_found.tsx'
import { Shell } from './shell/shell.tsx'

type PageInfo = {
  /** Its name in the navigation; a page without one is reached from other pages only. */
  nav?: string
  icon?: icons.LucideIcon
  /** The page in the navigation that this one belongs to, where its own address does not start with that page's. */
  under?: string
}

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound, errorComponent: PageError })

/** @param options.load the module whose default export is the page's component */
function page<const Path extends string, Search = undefined>(
  options: PageInfo & {
    path: Path
    load: () => Promise<{ default: () => void }>
    search?: (raw: RawSearch) => Search
  },
) {
  const { path, load, search, nav, icon, under } = options
  return createRoute({
    getParentRoute: () => root,
    path,
    validateSearch: search,
    staticData: { nav, icon, under },
    component: lazyRouteComponent(load),
  })
}

// The one page inside another: a dialog over the list.
const extractions = page({
  path: '/extractions',
  nav: 'Extractions',
  icon: icons.Pickaxe,
  load: () => import('./pages/extractions/extractions.tsx'),
})
const newExtraction = createRoute({
  getParentRoute: () => extractions,
  path: 'new',
  validateSearch: newExtractionSearch,
  component: lazyRouteComponent(() => import('./pages/new_extraction/new_extraction.tsx')),
})

// biome-ignore format: a line is a page
const pages = [
  page({ path: '/', nav: 'Home', icon: icons.House, load: () => import('./pages/home/home.tsx') }),
  page({ path: '/datasets', nav: 'Datasets', icon: icons.Database, load: () => import('./pages/datasets/datasets.tsx') }),
  page({ path: '/models', nav: 'Models', icon: icons.Boxes, load: () => import('./pages/models/models.tsx') }),
  page({ path: '/trainings', nav: 'Trainings', icon: icons.Dumbbell, load: () => import('./pages/trainings/trainings.tsx') }),
  page({ path: '/trainings/new', load: () => import('./pages/new_training/new_training.tsx') }),
  page({ path: '/trainings/$id', search: trainingSearch, load: () => import('./pages/training/training.tsx') }),
  page({ path: '/saes', nav: 'SAEs', icon: icons.Layers, search: saesSearch, load: () => import('./pages/saes/saes.tsx') }),
  extractions.addChildren([newExtraction]),
  page({ path: '/extractions/$id', load: () => import('./pages/extraction/extraction.tsx') }),
  page({ path: '/extractions/$id/features', search: featuresSearch, load: () => import('./pages/features/features.tsx') }),
  page({ path: '/features/$id', under: '/extractions', load: () => import('./pages/feature/feature.tsx') }),
  page({ path: '/templates', nav: 'Templates', icon: icons.SwatchBook, load: () => import('./pages/templates/templates.tsx') }),
] as const

export const router = createRouter({
  routeTree: root.addChildren(pages),
  scrollRestoration: true,
  defaultPreload: 'intent',
  // The query cache keeps the data; the router holds none of its own.
  defaultPreloadStaleTime: 0,
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
  interface StaticDataRouteOption extends PageInfo {}
}
