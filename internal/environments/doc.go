// Package environments keeps what programs need besides their package, such as the libraries a lock file names: folders by
// key, each built once, shared by all jobs that need it, and removed when room is needed, the least recently used first.
//
// It knows nothing of what is in an environment or how it is built. It imports the standard library, internal/archive (to
// remove trees) and internal/job.
package environments
