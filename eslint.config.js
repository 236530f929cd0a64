// Type-aware lint of the control plane and the tests, for what Biome cannot see: promises that nobody waits for, conditions that
// are always true, values of type any that spread. Style is Biome's. AssemblyScript has another type system: not here.
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["build/**", "hv/**", "scripts/**", "test/hostile/**", "**/*.js", "**/*.mjs"] },
  {
    files: ["control/src/**/*.ts", "protocol/*.ts", "test/**/*.ts"],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      // Biome and tsc have these.
      "@typescript-eslint/no-unused-vars": "off",
      // Interfaces ask for async methods that need not wait, and layouts for constants that are equal by chance.
      "@typescript-eslint/require-await": "off",
      "@typescript-eslint/no-duplicate-enum-values": "off",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      "@typescript-eslint/no-unsafe-enum-comparison": "off",
    },
  },
);
