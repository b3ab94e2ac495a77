// Light, dark, or whatever the system is set to.
import { type LucideIcon, Monitor, Moon, Sun } from 'lucide-react'
import { ToggleGroup } from 'radix-ui'
import { setTheme, type Theme, themes, useTheme } from '../parts/theme.ts'

const looks: Record<Theme, { icon: LucideIcon; name: string }> = {
  system: { icon: Monitor, name: 'System' },
  light: { icon: Sun, name: 'Light' },
  dark: { icon: Moon, name: 'Dark' },
}

export function ThemeChoice() {
  const theme = useTheme()
  return (
    <ToggleGroup.Root
      type="single"
      value={theme}
      aria-label="Colour theme"
      onValueChange={next => next !== '' && setTheme(next as Theme)}
      className="inline-flex rounded-md border border-line p-0.5"
    >
      {themes.map(value => {
        const { icon: Icon, name } = looks[value]
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
