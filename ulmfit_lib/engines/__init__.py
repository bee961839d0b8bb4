"""Engines that score more rows than one process can: Ray and Spark."""
