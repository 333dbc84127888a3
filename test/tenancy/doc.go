// Package tenancy holds the test that walks every route of every door with credentials that do not reach what the route names: those
// of another account, and those of a user of the same account who was given nothing. It has nothing but tests.
package tenancy
