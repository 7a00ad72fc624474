// The page that compares runs: the charts and films of a report.
start();
