-- What stands next to operating points on frontiers, for the JSON array $1 (group_id, metric, job_id, point): the last that costs no more, the first
-- that is dearer or as dear and more accurate, and what lies between, which is what the point displaces. And, without an id, what each of these
-- frontiers came to last: reference cost as cost, hypervolume as accuracy. However large the frontiers are, this reads what it answers with.
-- Caller: frontier. Index: frontier_standing, primary keys.
WITH asked AS MATERIALIZED (
    SELECT wanted.group_id, wanted.metric, wanted.job_id, wanted.point
    FROM jsonb_to_recordset($1::jsonb) AS wanted (group_id bigint, metric text, job_id bigint, point bigint)
),
candidates AS MATERIALIZED (
    SELECT
        asked.group_id AS group_id,
        CASE asked.metric
            WHEN 'macs_cascade' THEN operating_points.macs_cascade
            WHEN 'macs_selected' THEN operating_points.macs_selected
            WHEN 'params' THEN jobs.params::double precision
            ELSE operating_points.latency_us
        END AS cost,
        operating_points.accuracy AS accuracy
    FROM asked
    JOIN operating_points ON operating_points.job_id = asked.job_id AND operating_points.point = asked.point
    JOIN jobs ON jobs.id = asked.job_id
),
bounded AS MATERIALIZED (
    SELECT
        candidates.group_id AS group_id,
        candidates.cost AS cost,
        (
            SELECT before.id
            FROM frontier AS before
            WHERE before.group_id = candidates.group_id AND before.left_us IS NULL AND before.cost <= candidates.cost
            ORDER BY before.cost DESC
            LIMIT 1
        ) AS before_id,
        (
            SELECT beyond.cost
            FROM frontier AS beyond
            WHERE beyond.group_id = candidates.group_id AND beyond.left_us IS NULL
                AND beyond.cost >= candidates.cost AND beyond.accuracy > candidates.accuracy
            ORDER BY beyond.cost
            LIMIT 1
        ) AS beyond_cost
    FROM candidates
)
SELECT frontier.group_id AS group_id, frontier.id AS id, frontier.cost AS cost, frontier.accuracy AS accuracy, frontier.entered_us AS at_us
FROM bounded
JOIN frontier ON frontier.id = bounded.before_id
UNION
SELECT frontier.group_id, frontier.id, frontier.cost, frontier.accuracy, frontier.entered_us
FROM bounded
JOIN frontier ON frontier.group_id = bounded.group_id AND frontier.left_us IS NULL
    AND frontier.cost >= bounded.cost AND frontier.cost <= coalesce(bounded.beyond_cost, 'infinity')
UNION ALL
SELECT frontier_advances.group_id, NULL::bigint, frontier_advances.reference_cost, frontier_advances.hypervolume, frontier_advances.at_us
FROM (SELECT DISTINCT asked.group_id AS group_id FROM asked) AS groups
JOIN frontier_advances ON frontier_advances.group_id = groups.group_id
WHERE frontier_advances.at_us = (
    SELECT max(newest.at_us)
    FROM frontier_advances AS newest
    WHERE newest.group_id = groups.group_id
);
