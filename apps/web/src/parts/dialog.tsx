// Two dialogs: one holds a form, one asks for confirmation before something is lost.
import { X } from 'lucide-react'
import { AlertDialog, Dialog as Radix } from 'radix-ui'
import { type ReactNode, useState } from 'react'
import { Button } from './button.tsx'
import { ProblemBox } from './problem.tsx'

const overlay = 'fixed inset-0 z-40 bg-black/45'
const centred =
  'fixed z-50 flex flex-col overflow-hidden border-line bg-surface shadow-2xl max-sm:inset-0 ' +
  'sm:left-1/2 sm:top-1/2 sm:max-h-[92dvh] sm:w-[calc(100vw-3rem)] sm:-translate-x-1/2 sm:-translate-y-1/2 sm:rounded-xl sm:border'

export function Dialog(props: {
  open: boolean
  onClose: () => void
  title: string
  description?: ReactNode
  wide?: boolean
  children: ReactNode
}) {
  const { open, onClose, title, description, wide = false, children } = props
  return (
    <Radix.Root open={open} onOpenChange={next => next || onClose()}>
      <Radix.Portal>
        <Radix.Overlay className={overlay} />
        <Radix.Content
          className={`${centred} outline-none ${wide ? 'sm:max-w-4xl' : 'sm:max-w-xl'}`}
          onOpenAutoFocus={focusFirstField}
          {...(description === undefined && { 'aria-describedby': undefined })}
        >
          <header className="border-b border-line py-3 pr-14 pl-4 sm:pl-5">
            <Radix.Title className="text-base font-semibold">{title}</Radix.Title>
            {description !== undefined && (
              <Radix.Description className="mt-0.5 text-soft">{description}</Radix.Description>
            )}
          </header>
          <div className="min-h-0 flex-1 overflow-y-auto overscroll-contain px-4 py-4 sm:px-5">
            {children}
          </div>
          <Radix.Close asChild>
            <Button look="ghost" small aria-label="Close" className="absolute top-3 right-3">
              <X aria-hidden />
            </Button>
          </Radix.Close>
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  )
}

/** Content that is still loading has no field yet; then the dialog itself, so that its title is read out. */
function focusFirstField(event: Event): void {
  event.preventDefault()
  const content = event.currentTarget as HTMLElement
  const field = content.querySelector<HTMLElement>('input:not(:disabled), select:not(:disabled)')
  ;(field ?? content).focus()
}

/** A button that asks first. The dialog stays open until the work is done, and says what went wrong. */
export function ConfirmButton(props: {
  label: ReactNode
  /** For screen readers, where the label is an icon. */
  name?: string
  title: string
  question: ReactNode
  confirm: string
  onConfirm: () => Promise<unknown>
  danger?: boolean
  small?: boolean
  look?: 'plain' | 'ghost'
  disabled?: boolean
}) {
  const { label, name, title, question, confirm, onConfirm, danger = true, small, look, disabled } = props
  const [open, setOpen] = useState(false)
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>(null)
  async function go() {
    setBusy(true)
    setError(null)
    try {
      await onConfirm()
      setOpen(false)
    } catch (problem) {
      setError(problem)
    }
    setBusy(false)
  }
  return (
    <AlertDialog.Root
      open={open}
      onOpenChange={next => {
        setOpen(next)
        setError(null)
      }}
    >
      <AlertDialog.Trigger asChild>
        <Button look={look} small={small} aria-label={name} disabled={disabled}>
          {label}
        </Button>
      </AlertDialog.Trigger>
      <AlertDialog.Portal>
        <AlertDialog.Overlay className={overlay} />
        <AlertDialog.Content className="fixed top-1/2 left-1/2 z-50 w-[calc(100vw-2rem)] max-w-md -translate-x-1/2 -translate-y-1/2 space-y-3 rounded-xl border border-line bg-surface p-5 shadow-2xl">
          <AlertDialog.Title className="text-base font-semibold">{title}</AlertDialog.Title>
          <AlertDialog.Description asChild>
            <div className="break-words text-soft">{question}</div>
          </AlertDialog.Description>
          <ProblemBox error={error} />
          <div className="flex justify-end gap-2 pt-1">
            <AlertDialog.Cancel asChild>
              <Button>Back</Button>
            </AlertDialog.Cancel>
            <Button look={danger ? 'danger' : 'primary'} disabled={busy} onClick={go}>
              {confirm}
            </Button>
          </div>
        </AlertDialog.Content>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  )
}
