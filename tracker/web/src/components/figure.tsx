import { across, placeOf, ticks, upward, type Figure as Drawing, type Trace } from "../lib/figure";
import { metric } from "../lib/format";

const [WIDTH, HEIGHT] = [440, 240];
const [LEFT, RIGHT, TOP, BOTTOM] = [48, 8, 10, 34];

/** A small still figure: lines, points or bars with their axes. */
export function Figure({ drawing, label }: { drawing: Drawing; label: string }) {
  const [x, y] = [across(drawing), upward(drawing)];
  const px = (value: number | string) => LEFT + placeOf(x, value) * (WIDTH - LEFT - RIGHT);
  const py = (value: number) => HEIGHT - BOTTOM - placeOf(y, value) * (HEIGHT - TOP - BOTTOM);
  const named = x.names?.map((name, index) => ({ name, at: index })).filter((_, index, all) => index % Math.ceil(all.length / 8) === 0);
  return (
    <figure className="figure">
      {drawing.title ? <figcaption>{drawing.title}</figcaption> : null}
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={label}>
        {ticks(y, 5).map((value) => (
          <g key={value}>
            <line x1={LEFT} x2={WIDTH - RIGHT} y1={py(value)} y2={py(value)} className="gridline" />
            <text x={LEFT - 6} y={py(value) + 3.5} textAnchor="end">
              {metric(value)}
            </text>
          </g>
        ))}
        {named
          ? named.map(({ name, at }) => (
              <text key={at} x={LEFT + ((at - x.low) / (x.high - x.low)) * (WIDTH - LEFT - RIGHT)} y={HEIGHT - BOTTOM + 14} textAnchor="middle">
                {name.length > 12 ? `${name.slice(0, 11)}…` : name}
              </text>
            ))
          : ticks(x, 6).map((value) => (
              <text key={value} x={px(value)} y={HEIGHT - BOTTOM + 14} textAnchor="middle">
                {metric(value)}
              </text>
            ))}
        <text x={(LEFT + WIDTH - RIGHT) / 2} y={HEIGHT - 4} textAnchor="middle" className="axisname">
          {drawing.xTitle}
        </text>
        <text x={11} y={(TOP + HEIGHT - BOTTOM) / 2} textAnchor="middle" transform={`rotate(-90 11 ${(TOP + HEIGHT - BOTTOM) / 2})`} className="axisname">
          {drawing.yTitle}
        </text>
        {drawing.traces.map((trace, index) => (
          <Marks key={index} trace={trace} colour={`var(--line-${index % 8})`} px={px} py={py} slot={[index, drawing.traces.length]} names={x.names} />
        ))}
      </svg>
      {drawing.traces.length > 1 ? (
        <div className="legend">
          {drawing.traces.map((trace, index) => (
            <span className="entry" key={index}>
              <i style={{ background: `var(--line-${index % 8})` }} aria-hidden="true" />
              {trace.name || `trace ${index + 1}`}
            </span>
          ))}
        </div>
      ) : null}
    </figure>
  );
}

interface MarksProps {
  trace: Trace;
  colour: string;
  px: (value: number | string) => number;
  py: (value: number) => number;
  /** Which of how many traces: bars of several stand beside each other. */
  slot: readonly [number, number];
  names: string[] | null;
}

function Marks({ trace, colour, px, py, slot: [index, count], names }: MarksProps) {
  if (trace.mode === "line") return <polyline points={trace.x.map((x, at) => `${px(x).toFixed(1)},${py(trace.y[at] ?? 0).toFixed(1)}`).join(" ")} fill="none" stroke={colour} strokeWidth={1.6} />;
  if (trace.mode === "points") {
    return (
      <g fill={colour} fillOpacity={0.75}>
        {trace.x.map((x, at) => (
          <circle key={at} cx={px(x)} cy={py(trace.y[at] ?? 0)} r={2.4} />
        ))}
      </g>
    );
  }
  const room = (WIDTH - LEFT - RIGHT) / (names?.length ?? Math.max(1, trace.x.length));
  return (
    <g fill={colour} fillOpacity={0.85}>
      {trace.x.map((x, at) => {
        const value = trace.y[at] ?? 0;
        const end = trace.to?.[at];
        const width = end === undefined ? (room * 0.8) / count : Math.max(0.5, px(end) - px(x) - 0.5);
        const left = end === undefined ? px(x) - room * 0.4 + index * width : px(x);
        const top = Math.min(py(value), py(0));
        return (
          <rect key={at} x={left} y={top} width={width} height={Math.max(0, Math.abs(py(0) - py(value)))}>
            <title>{`${typeof x === "number" ? metric(x) : x}${end === undefined ? "" : ` to ${metric(end)}`}: ${metric(value)}`}</title>
          </rect>
        );
      })}
    </g>
  );
}
