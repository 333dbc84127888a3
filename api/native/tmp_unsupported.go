package native

func (d *door) unsupportedRoutes() {}
