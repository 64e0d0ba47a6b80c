import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["__test__/**/*.test.ts", "ts/**/*.test.ts"],
    // The addon is CommonJS and loaded once per worker, as an application loads it.
    server: { deps: { external: [/\/index\.js$/] } },
    testTimeout: 30_000,
    pool: "forks",
    reporters: process.env["TEST_REPORT"]
      ? ["default", ["json", { outputFile: process.env["TEST_REPORT"] }]]
      : ["default"],
  },
});
