/** Ranks in a row, and the rider beside them. */
export function Mark({ size }: { size: number }) {
  return (
    <svg className="mark" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true">
      <rect width="24" height="24" rx="6" className="ground" />
      <g className="figure">
        <rect x="5" y="6" width="8" height="2.6" rx="1.3" opacity=".55" />
        <rect x="5" y="10.7" width="8" height="2.6" rx="1.3" opacity=".75" />
        <rect x="5" y="15.4" width="8" height="2.6" rx="1.3" opacity=".55" />
        <circle cx="17.6" cy="12" r="2.4" />
      </g>
    </svg>
  );
}
