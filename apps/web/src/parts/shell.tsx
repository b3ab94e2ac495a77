// What is around every page: the way to the others, the theme, and whether the studio answers.
import { Link, Outlet, useRouterState } from '@tanstack/react-router'
import {
  Boxes,
  Database,
  Dumbbell,
  House,
  Layers,
  type LucideIcon,
  Menu,
  Monitor,
  Moon,
  Pickaxe,
  Sun,
  SwatchBook,
  X,
} from 'lucide-react'
import { Dialog, ToggleGroup } from 'radix-ui'
import { useEffect, useState } from 'react'
import { ConnectionBar } from '../live/connection_bar.tsx'
import { Button, TextLink } from './button.tsx'
import { Page } from './page.tsx'
import { ProblemBox } from './problem.tsx'
import { setTheme, type Theme, themes, useTheme } from './theme.ts'

/** In the order of work: text, model, SAEs, features. */
const places: { to: string; name: string; icon: LucideIcon }[] = [
  { to: '/', name: 'Home', icon: House },
  { to: '/datasets', name: 'Datasets', icon: Database },
  { to: '/models', name: 'Models', icon: Boxes },
  { to: '/trainings', name: 'Trainings', icon: Dumbbell },
  { to: '/saes', name: 'SAEs', icon: Layers },
  { to: '/extractions', name: 'Extractions', icon: Pickaxe },
  { to: '/templates', name: 'Templates', icon: SwatchBook },
]

export function Shell() {
  const path = useRouterState({ select: state => state.location.pathname })
  const [open, setOpen] = useState(false)
  // biome-ignore lint/correctness/useExhaustiveDependencies: closes when a page was chosen
  useEffect(() => setOpen(false), [path])
  return (
    <div className="min-h-dvh lg:pl-52">
      <a
        href="#content"
        className="sr-only z-50 rounded-md bg-accent-solid px-3 py-2 text-on-accent focus:not-sr-only focus:fixed focus:top-2 focus:left-2"
      >
        Skip to the content
      </a>
      <header className="sticky top-0 z-30 flex h-12 items-center gap-2 border-b border-line bg-surface px-2 lg:hidden">
        <Dialog.Root open={open} onOpenChange={setOpen}>
          <Dialog.Trigger asChild>
            <Button look="ghost" aria-label="Menu">
              <Menu aria-hidden />
            </Button>
          </Dialog.Trigger>
          <Dialog.Portal>
            <Dialog.Overlay className="fixed inset-0 z-40 bg-black/45" />
            <Dialog.Content
              aria-describedby={undefined}
              className="fixed inset-y-0 left-0 z-50 flex w-60 flex-col border-r border-line bg-surface p-3"
            >
              <Dialog.Title className="sr-only">Menu</Dialog.Title>
              <div className="mb-2 flex items-center justify-between">
                <Mark />
                <Dialog.Close asChild>
                  <Button look="ghost" small aria-label="Close">
                    <X aria-hidden />
                  </Button>
                </Dialog.Close>
              </div>
              <Places path={path} />
              <div className="mt-auto">
                <ThemeChoice />
              </div>
            </Dialog.Content>
          </Dialog.Portal>
        </Dialog.Root>
        <Mark />
      </header>
      <aside className="fixed inset-y-0 left-0 hidden w-52 flex-col border-r border-line bg-surface p-3 lg:flex">
        <div className="mb-4 px-2 pt-1">
          <Mark />
        </div>
        <Places path={path} />
        <div className="mt-auto">
          <ThemeChoice />
        </div>
      </aside>
      <main id="content" tabIndex={-1} className="min-w-0 outline-none">
        <Outlet />
      </main>
      <ConnectionBar />
    </div>
  )
}

const Mark = () => (
  <Link to="/" className="flex items-center gap-2 rounded-sm font-semibold">
    <img src="/favicon.svg" alt="" className="size-5" />
    miStudio
  </Link>
)

function Places({ path }: { path: string }) {
  return (
    <nav aria-label="Pages">
      <ul className="space-y-0.5">
        {places.map(({ to, name, icon: Icon }) => {
          const here = to === '/' ? path === '/' : isUnder(path, to)
          return (
            <li key={to}>
              <Link
                to={to}
                aria-current={here ? 'page' : undefined}
                className={`flex items-center gap-2.5 rounded-md px-2 py-1.5 ${here ? 'bg-accent-soft font-medium text-accent' : 'text-soft hover:bg-hover hover:text-ink'}`}
              >
                <Icon aria-hidden className="size-4 shrink-0" />
                {name}
              </Link>
            </li>
          )
        })}
      </ul>
    </nav>
  )
}

/** A feature belongs to its extraction. */
const isUnder = (path: string, to: string) =>
  path.startsWith(to) || (to === '/extractions' && path.startsWith('/features/'))

const themeParts: Record<Theme, { icon: LucideIcon; name: string }> = {
  system: { icon: Monitor, name: 'As the system' },
  light: { icon: Sun, name: 'Light' },
  dark: { icon: Moon, name: 'Dark' },
}

function ThemeChoice() {
  const theme = useTheme()
  return (
    <ToggleGroup.Root
      type="single"
      value={theme}
      aria-label="Colours"
      onValueChange={next => next !== '' && setTheme(next as Theme)}
      className="inline-flex rounded-md border border-line p-0.5"
    >
      {themes.map(value => {
        const { icon: Icon, name } = themeParts[value]
        return (
          <ToggleGroup.Item
            key={value}
            value={value}
            aria-label={name}
            title={name}
            className="rounded-sm p-1.5 text-mute hover:text-ink data-[state=on]:bg-hover data-[state=on]:text-ink"
          >
            <Icon aria-hidden className="size-4" />
          </ToggleGroup.Item>
        )
      })}
    </ToggleGroup.Root>
  )
}

export const NotFound = () => (
  <Page title="There is no such page">
    <p className="text-soft">
      The address may be mistyped. <TextLink to="/">Back to the start</TextLink>
    </p>
  </Page>
)

export const PageError = ({ error, reset }: { error: unknown; reset: () => void }) => (
  <Page title="This page cannot be shown">
    <ProblemBox error={error} onRetry={reset} />
  </Page>
)
