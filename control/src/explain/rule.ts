// What a rule of protocol/rules.ts says to people. The tables are vmxcontrols.ts, vmxhost.ts, vmxguest.ts and svmrules.ts.

/** In a text, `{field}` is the name of the field that failed. */
export interface Rule {
  /** what must hold, one sentence */
  text: string;
  /** of the manual that names its table; by field, where several fields share the rule */
  section: string | ((field: number) => string);
  /** how one usually gets there */
  mistake: string;
  /** the other fields that the check looks at */
  needs?: readonly number[] | ((field: number) => readonly number[]);
}

export const sectionOf = ({ section }: Rule, field: number): string => (typeof section === "string" ? section : section(field));

export const needsOf = ({ needs = [] }: Rule, field: number): readonly number[] => (Array.isArray(needs) ? needs : callOf(needs)(field));

/** Array.isArray does not tell a read-only array from a function. */
function callOf(needs: NonNullable<Rule["needs"]>): (field: number) => readonly number[] {
  return typeof needs === "function" ? needs : () => needs;
}
