// Buttons, and links that look like buttons.
import { createLink } from '@tanstack/react-router'
import type { ComponentProps } from 'react'

const looks = {
  primary: 'bg-accent-solid text-on-accent border-transparent hover:brightness-110',
  plain: 'bg-raised text-ink border-edge hover:bg-hover',
  danger: 'bg-bad-solid text-white border-transparent hover:brightness-110',
  ghost: 'border-transparent text-soft hover:bg-hover hover:text-ink',
} as const

type Look = { look?: keyof typeof looks; small?: boolean }

const classes = ({ look = 'plain', small = false }: Look, className = '') =>
  `inline-flex items-center justify-center gap-1.5 rounded-md border font-medium whitespace-nowrap select-none ` +
  `disabled:cursor-not-allowed disabled:opacity-50 [&_svg]:size-4 [&_svg]:shrink-0 ` +
  `${small ? 'min-h-7 px-2 py-0.5 text-xs' : 'min-h-9 px-3 py-1.5'} ${looks[look]} ${className}`

export function Button({
  look,
  small,
  className,
  type = 'button',
  ...rest
}: Look & ComponentProps<'button'>) {
  return <button type={type} className={classes({ look, small }, className)} {...rest} />
}

function Anchor({ look, small, className, ...rest }: Look & ComponentProps<'a'>) {
  return <a className={classes({ look, small }, className)} {...rest} />
}

export const LinkButton = createLink(Anchor)

function Plain({ className = '', ...rest }: ComponentProps<'a'>) {
  return (
    <a
      className={`rounded-sm font-medium text-accent underline-offset-2 hover:underline ${className}`}
      {...rest}
    />
  )
}

export const TextLink = createLink(Plain)
