// Package settings reads Waybill's settings from flags, environment and file, and reports all faults together. It imports
// koanf and pflag, and nothing else of Waybill. It is apart from internal/app so that its tests do not link the engine.
package settings
