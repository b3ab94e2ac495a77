// Form fields: a label, an explanation and an error, tied together for screen readers.
import { type ComponentProps, type ReactNode, useId } from 'react'
import { Button } from '../parts/button.tsx'

type Common = {
  label: string
  /** Beside the label, but not part of it. */
  aside?: ReactNode
  about?: ReactNode
  error?: string
  className?: string
}

/** @param props.children is given the attributes that tie an input to its label, explanation and error */
export function Field(
  props: Common & {
    children: (tied: { id: string; 'aria-describedby'?: string; 'aria-invalid'?: true }) => ReactNode
  },
) {
  const { label, aside, about, error, className = '', children } = props
  const id = useId()
  const described = [about !== undefined && `${id}-about`, error !== undefined && `${id}-error`]
    .filter(part => part !== false)
    .join(' ')
  return (
    <div className={`min-w-0 ${className}`}>
      <div className="mb-1 flex items-center gap-1.5">
        <label htmlFor={id} className="min-w-0 font-medium">
          {label}
        </label>
        {aside}
      </div>
      {children({
        id,
        ...(described !== '' && { 'aria-describedby': described }),
        ...(error !== undefined && { 'aria-invalid': true }),
      })}
      {error !== undefined && (
        <p id={`${id}-error`} className="mt-1 text-xs text-bad">
          {error}
        </p>
      )}
      {about !== undefined && (
        <p id={`${id}-about`} className="mt-1 text-xs text-mute">
          {about}
        </p>
      )}
    </div>
  )
}

export function TextField({
  label,
  aside,
  about,
  error,
  className,
  ...input
}: Common & Omit<ComponentProps<'input'>, 'className'>) {
  return (
    <Field label={label} aside={aside} about={about} error={error} className={className}>
      {tied => <input type="text" autoComplete="off" className="field-box" {...input} {...tied} />}
    </Field>
  )
}

/** Numbers are typed as text: `1e6` and `1 000 000` are accepted, and the mouse wheel does not change them. */
export function NumberField(props: Common & Omit<ComponentProps<'input'>, 'className'>) {
  return <TextField inputMode="decimal" spellCheck={false} {...props} />
}

export function SelectField({
  label,
  aside,
  about,
  error,
  className,
  children,
  ...select
}: Common & Omit<ComponentProps<'select'>, 'className'>) {
  return (
    <Field label={label} aside={aside} about={about} error={error} className={className}>
      {tied => (
        <select className="field-box" {...select} {...tied}>
          {children}
        </select>
      )}
    </Field>
  )
}

export function CheckField(props: {
  label: ReactNode
  about?: ReactNode
  checked: boolean
  disabled?: boolean
  onChange: (checked: boolean) => void
}) {
  const { label, about, checked, disabled, onChange } = props
  const id = useId()
  return (
    <div className="flex gap-2">
      <input
        id={id}
        type="checkbox"
        className="mt-0.5"
        checked={checked}
        disabled={disabled}
        aria-describedby={about === undefined ? undefined : `${id}-about`}
        onChange={event => onChange(event.target.checked)}
      />
      <div className="min-w-0">
        <label htmlFor={id} className={disabled ? 'text-mute' : ''}>
          {label}
        </label>
        {about !== undefined && (
          <p id={`${id}-about`} className="text-xs text-mute">
            {about}
          </p>
        )}
      </div>
    </div>
  )
}

/** Checkboxes or fields under one heading. */
export function Group(props: {
  legend: string
  about?: ReactNode
  error?: string
  aside?: ReactNode
  children: ReactNode
}) {
  const { legend, about, error, aside, children } = props
  const id = useId()
  return (
    <fieldset className="min-w-0" aria-describedby={error === undefined ? undefined : `${id}-error`}>
      <div className="mb-1 flex items-baseline justify-between gap-2">
        <legend className="float-left font-medium">{legend}</legend>
        {aside}
      </div>
      {children}
      {error !== undefined && (
        <p id={`${id}-error`} className="mt-1 text-xs text-bad">
          {error}
        </p>
      )}
      {about !== undefined && <p className="mt-1 text-xs text-mute">{about}</p>}
    </fieldset>
  )
}

/** Buttons that choose all or none of a group. @param props.children how many are chosen */
export function AllOrNone(props: { onAll: () => void; onNone: () => void; children?: ReactNode }) {
  const { onAll, onNone, children } = props
  return (
    <span className="flex items-center gap-1">
      {children}
      <Button small look="ghost" onClick={onAll}>
        All
      </Button>
      <Button small look="ghost" onClick={onNone}>
        None
      </Button>
    </span>
  )
}

export function toggledIn<T>(list: readonly T[], item: T, on: boolean): T[] {
  const without = list.filter(known => known !== item)
  return on ? [...without, item] : without
}
