// Where candles are asked for that are older than those that are here.

/** Return {candles, macdv, quiet} of before `time`, all of them empty where there is nothing older. */
export async function fetchOlder(time) {
  const response = await fetch(`?before=${time}`, { headers: { Accept: "application/json" } });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.text);
  return answer;
}
