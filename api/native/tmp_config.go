package native

func (d *door) configRoutes() {}
