const [, experiment, run] = location.hash.match(/^#\/experiments\/(\d+)(?:\/runs\/([0-9A-Za-z]+))?/) ?? [];
if (experiment) location.replace(run ? `/runs/${run}` : `/experiments/${experiment}`);
