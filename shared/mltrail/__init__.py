"""The trainer's SDK: `import mltrail`."""
