// What surrounds every page: the navigation (beside it, or behind a menu on a narrow screen), the theme, and whether
// the studio responds.
import { Link, Outlet, useRouterState } from '@tanstack/react-router'
import { Menu, X } from 'lucide-react'
import { Dialog } from 'radix-ui'
import { useEffect, useState } from 'react'
import { Button } from '../parts/button.tsx'
import { ConnectionBar } from './connection_bar.tsx'
import { Places } from './places.tsx'
import { ThemeChoice } from './theme_choice.tsx'

export function Shell() {
  return (
    <div className="min-h-dvh lg:pl-52">
      <a
        href="#content"
        className="sr-only z-50 rounded-md bg-accent-solid px-3 py-2 text-on-accent focus:not-sr-only focus:fixed focus:top-2 focus:left-2"
      >
        Skip to content
      </a>
      <header className="sticky top-0 z-30 flex h-12 items-center gap-2 border-b border-line bg-surface px-2 lg:hidden">
        <NarrowMenu />
        <Mark />
      </header>
      <aside className="fixed inset-y-0 left-0 hidden w-52 flex-col border-r border-line bg-surface p-3 lg:flex">
        <div className="mb-4 px-2 pt-1">
          <Mark />
        </div>
        <Places />
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

function NarrowMenu() {
  const path = useRouterState({ select: state => state.location.pathname })
  const [open, setOpen] = useState(false)
  // biome-ignore lint/correctness/useExhaustiveDependencies: closes once a page has been chosen
  useEffect(() => setOpen(false), [path])
  return (
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
          <Places />
          <div className="mt-auto">
            <ThemeChoice />
          </div>
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  )
}

const Mark = () => (
  <Link to="/" className="flex items-center gap-2 rounded-sm font-semibold">
    <img src="/favicon.svg" alt="" className="size-5" />
    miStudio
  </Link>
)
