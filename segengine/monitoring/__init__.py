"""Have the data, or the split into segments, moved? Profiles of customers, with limits that know the sample size."""
