// Beside the form: how many SAEs it makes, what they will take, and the button that starts them.
import { FieldsToCorrect } from '../../forms/form_buttons.tsx'
import { Button } from '../../parts/button.tsx'
import { formatNumberOf } from '../../parts/format.ts'
import { ProblemBox } from '../../parts/problem.tsx'
import { AdvicePanel } from './advice_panel.tsx'
import type { TrainingForm } from './use_training_form.ts'

export function Plan({ form }: { form: TrainingForm }) {
  const { plan, advice, measuring, doubt, starting, change } = form
  return (
    <aside aria-label="Plan" className="h-fit space-y-3 lg:sticky lg:top-4">
      <div className="panel space-y-3 p-4">
        <p>
          <span className="block text-3xl font-semibold" data-testid="sae-count">
            {formatNumberOf(plan.saes, 'SAE')}
          </span>
          <span className="text-soft" data-testid="sae-count-sum">
            {formatNumberOf(plan.layers, 'layer')} × {formatNumberOf(plan.hookTypes, 'hook type')}
            {plan.variants > 1 && ` × ${formatNumberOf(plan.variants, 'variant')}`}
          </span>
        </p>
        <AdvicePanel
          advice={advice}
          measuring={measuring}
          onTake={({ field, value }) => change({ kind: 'setting', name: field, text: String(value) })}
        />
        {doubt !== undefined && (
          <p role="status" className="text-xs break-words text-bad">
            {doubt.title}
          </p>
        )}
        <Button type="submit" look="primary" className="w-full" disabled={starting || advice?.fits === false}>
          {starting ? 'Starting…' : 'Start'}
        </Button>
        <FieldsToCorrect count={form.errorCount} />
      </div>
      <ProblemBox error={form.error} />
    </aside>
  )
}
