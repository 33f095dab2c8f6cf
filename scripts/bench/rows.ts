/** Rows of words as lines: the first column to the left, figures to the right. */
export function alignRows(rows: readonly (readonly string[])[]): string {
  const width = (column: number) => Math.max(...rows.map((row) => row[column]?.length ?? 0));
  const lines = rows.map(([name = "", ...figures]) => {
    const cells = figures.map((figure, i) => figure.padStart(width(i + 1)));
    return [name.padEnd(width(0)), ...cells].join("  ");
  });
  return lines.join("\n");
}
