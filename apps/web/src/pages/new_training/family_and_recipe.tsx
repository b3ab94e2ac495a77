// The family of SAEs, and a recipe that fills in its settings.
import type { Families, Recipe } from '@mistudio/contract'
import { SelectField } from '../../forms/fields.tsx'
import type { TrainingForm } from './use_training_form.ts'

export function FamilyAndRecipe(props: { form: TrainingForm; families: Families; recipes: Recipe[] }) {
  const { form, families, recipes } = props
  const { draft, change, errorOf } = form
  const { family, recipe } = draft
  return (
    <section className="panel grid gap-4 p-4 sm:grid-cols-2" aria-label="Family and recipe">
      <SelectField
        label="Family"
        value={family.name}
        error={errorOf('family')}
        about={`${family.summary} ${family.paper.title}, ${family.paper.where}.`}
        onChange={event =>
          change({ kind: 'family', family: families.data.find(({ name }) => name === event.target.value)! })
        }
      >
        {families.data.map(({ name, title }) => (
          <option key={name} value={name}>
            {title}
          </option>
        ))}
      </SelectField>
      <SelectField
        label="Recipe"
        value={recipe?.name ?? ''}
        error={errorOf('recipe')}
        about={recipe === null ? 'Fills in the settings of a paper or a tool.' : recipe.source}
        onChange={event =>
          change({ kind: 'recipe', recipe: recipes.find(({ name }) => name === event.target.value) ?? null })
        }
      >
        <option value="">None (family defaults)</option>
        {families.data.map(({ name, title }) => (
          <RecipeGroup key={name} title={title} recipes={recipes.filter(one => one.family === name)} />
        ))}
      </SelectField>
    </section>
  )
}

const RecipeGroup = ({ title, recipes }: { title: string; recipes: Recipe[] }) =>
  recipes.length === 0 ? null : (
    <optgroup label={title}>
      {recipes.map(({ name }) => (
        <option key={name}>{name}</option>
      ))}
    </optgroup>
  )
