// The end of a form in a dialog: what went wrong, and the buttons.
import type { ReactNode } from 'react'
import { Button } from '../parts/button.tsx'
import { ProblemBox } from '../parts/problem.tsx'

/** @param props.children the label of the button that submits */
export function FormButtons(props: {
  error: unknown
  disabled: boolean
  onCancel: () => void
  children: ReactNode
}) {
  const { error, disabled, onCancel, children } = props
  return (
    <>
      <ProblemBox error={error} />
      <div className="flex justify-end gap-2">
        <Button onClick={onCancel}>Cancel</Button>
        <Button type="submit" look="primary" disabled={disabled}>
          {children}
        </Button>
      </div>
    </>
  )
}

/** How many fields have an error. */
export function FieldsToCorrect({ count, className = '' }: { count: number; className?: string }) {
  if (count === 0) return null
  return (
    <p role="alert" className={`text-bad ${className}`}>
      {count === 1 ? '1 field needs correcting.' : `${count} fields need correcting.`}
    </p>
  )
}
