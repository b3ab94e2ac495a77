// The navigation: every page that routes.tsx gives a name here, in the order of its lines.
import { type AnyRoute, Link, useRouter, useRouterState } from '@tanstack/react-router'
import { FileText, type LucideIcon } from 'lucide-react'

type Place = { to: string; name: string; icon: LucideIcon }

export function Places() {
  const { routeTree } = useRouter()
  const here = useRouterState({
    select: ({ location, matches }) => matches.at(-1)?.staticData.under ?? location.pathname,
  })
  return (
    <nav aria-label="Pages">
      <ul className="space-y-0.5">
        {placesOf(routeTree).map(({ to, name, icon: Icon }) => {
          const current = to === '/' ? here === '/' : here.startsWith(to)
          return (
            <li key={to}>
              <Link
                to={to}
                aria-current={current ? 'page' : undefined}
                className={`flex items-center gap-2.5 rounded-md px-2 py-1.5 ${current ? 'bg-accent-soft font-medium text-accent' : 'text-soft hover:bg-hover hover:text-ink'}`}
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

function placesOf(root: AnyRoute): Place[] {
  const pages: AnyRoute[] = Object.values(root.children ?? {})
  return pages.flatMap(({ fullPath, options: { staticData } }) =>
    staticData?.nav === undefined
      ? []
      : [{ to: fullPath, name: staticData.nav, icon: staticData.icon ?? FileText }],
  )
}
